"""Second-order sections in series and their adjoint, compiled for the CPU.

Section s maps x_s to x_(s+1): y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2], everything in float64.
The forward pass keeps the last two samples of every x_s at the start of each block; the backward pass filters a block
again from there and then runs the adjoint backwards in time: with g the gradient of y,
l[n] = g[n] - a1 l[n+1] - a2 l[n+2], dx[n] = b0 l[n] + b1 l[n+1] + b2 l[n+2],
db_k = sum l[n] x[n-k], da_k = -sum l[n] y[n-k].
"""

from __future__ import annotations

import numpy as np

from stylefx.differentiable.operators.compiled.jit import BLOCK, TINY, recursion_kernel, recursion_part, sum_part


@recursion_kernel
def filter_rows(first, last, audio, coefficients, out, checkpoints):
    """Rows first..last of audio (items, channels, n) -> out; coefficients float64 (items, sections, 5): b0 b1 b2 a1 a2;
    checkpoints float64 (rows, blocks, sections + 1, 2), row = item * channels + channel; an empty array keeps none."""
    channels, samples = audio.shape[1], audio.shape[2]
    sections = coefficients.shape[1]
    for row in range(first, last):
        item, channel = row // channels, row % channels
        signals = np.zeros((sections + 1, BLOCK + 2))
        for block in range((samples + BLOCK - 1) // BLOCK):
            start = block * BLOCK
            size = min(BLOCK, samples - start)
            if checkpoints.shape[0] > 0:
                for s in range(sections + 1):
                    checkpoints[row, block, s, 0] = signals[s, 0]
                    checkpoints[row, block, s, 1] = signals[s, 1]
            for i in range(size):
                signals[0, i + 2] = audio[item, channel, start + i]
            _series(signals, size, coefficients[item])
            for i in range(size):
                out[item, channel, start + i] = signals[sections, i + 2]
            for s in range(sections + 1):
                older, newer = signals[s, size], signals[s, size + 1]
                quiet = abs(older) < TINY and abs(newer) < TINY
                signals[s, 0] = 0.0 if quiet else older
                signals[s, 1] = 0.0 if quiet else newer


@recursion_kernel
def adjoint_rows(first, last, audio, coefficients, checkpoints, upstream, d_audio, d_coefficients):
    """Gradients for rows first..last: upstream and d_audio like audio; d_coefficients float64 (rows, sections, 5), zeros."""
    channels, samples = audio.shape[1], audio.shape[2]
    sections = coefficients.shape[1]
    for row in range(first, last):
        item, channel = row // channels, row % channels
        signals = np.zeros((sections + 1, BLOCK + 2))
        adjoints = np.zeros((sections, BLOCK + 2))
        gradient = np.empty(BLOCK)
        for block in range((samples + BLOCK - 1) // BLOCK - 1, -1, -1):
            start = block * BLOCK
            size = min(BLOCK, samples - start)
            for s in range(sections + 1):
                signals[s, 0] = checkpoints[row, block, s, 0]
                signals[s, 1] = checkpoints[row, block, s, 1]
            for i in range(size):
                signals[0, i + 2] = audio[item, channel, start + i]
                gradient[i] = upstream[item, channel, start + i]
            _series(signals, size, coefficients[item])
            _adjoint_series(adjoints, gradient, size, coefficients[item])
            for s in range(sections):
                _products(adjoints[s], signals[s], signals[s + 1], size, d_coefficients[row, s])
            for i in range(size):
                d_audio[item, channel, start + i] = gradient[i]
            for s in range(sections):  # the block before this one continues from its first two values
                first_value, second_value = adjoints[s, 0], adjoints[s, 1]
                if abs(first_value) < TINY and abs(second_value) < TINY:
                    adjoints[s, 0] = 0.0
                    adjoints[s, 1] = 0.0


@recursion_part
def _series(signals, size, coefficients):
    """Filter one block through all sections, two per sweep (more would not fit the registers, one waits for itself)."""
    sections = coefficients.shape[0]
    for s in range(0, sections - 1, 2):
        _two_sections(signals[s], signals[s + 1], signals[s + 2], size, coefficients[s], coefficients[s + 1])
    if sections % 2 == 1:
        _one_section(signals[sections - 1], signals[sections], size, coefficients[sections - 1])


@recursion_part
def _two_sections(x, y, z, size, p, q):
    p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    x_older, x_old, y_older, y_old, z_older, z_old = x[0], x[1], y[0], y[1], z[0], z[1]
    for i in range(size):
        x_new = x[i + 2]
        # The parentheses leave one multiply-add between an output and the next.
        y_new = (p0 * x_new + p1 * x_old + p2 * x_older - p4 * y_older) - p3 * y_old
        z_new = (q0 * y_new + q1 * y_old + q2 * y_older - q4 * z_older) - q3 * z_old
        x_older, x_old, y_older, y_old, z_older, z_old = x_old, x_new, y_old, y_new, z_old, z_new
        y[i + 2] = y_new
        z[i + 2] = z_new


@recursion_part
def _one_section(x, y, size, p):
    p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
    y_older, y_old = y[0], y[1]
    for i in range(size):
        y_new = (p0 * x[i + 2] + p1 * x[i + 1] + p2 * x[i] - p4 * y_older) - p3 * y_old
        y_older, y_old = y_old, y_new
        y[i + 2] = y_new


@recursion_part
def _adjoint_series(adjoints, gradient, size, coefficients):
    """gradient: of the last output -> of the first input, in place; adjoints[s, 0:2] enter as those of the next block."""
    sections = coefficients.shape[0]
    for s in range(sections):
        adjoints[s, size] = adjoints[s, 0]
        adjoints[s, size + 1] = adjoints[s, 1]
    top = sections
    if sections % 2 == 1:
        top -= 1
        _one_adjoint(adjoints[top], gradient, size, coefficients[top])
    for s in range(top - 2, -1, -2):
        _two_adjoints(adjoints[s + 1], adjoints[s], gradient, size, coefficients[s + 1], coefficients[s])


@recursion_part
def _two_adjoints(later, earlier, gradient, size, p, q):
    p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    l_next, l_after, m_next, m_after = later[size], later[size + 1], earlier[size], earlier[size + 1]
    for i in range(size - 1, -1, -1):
        new = (gradient[i] - p4 * l_after) - p3 * l_next
        between = p0 * new + p1 * l_next + p2 * l_after
        l_after, l_next = l_next, new
        later[i] = new
        new = (between - q4 * m_after) - q3 * m_next
        gradient[i] = q0 * new + q1 * m_next + q2 * m_after
        m_after, m_next = m_next, new
        earlier[i] = new


@recursion_part
def _one_adjoint(adjoint, gradient, size, p):
    p0, p1, p2, p3, p4 = p[0], p[1], p[2], p[3], p[4]
    l_next, l_after = adjoint[size], adjoint[size + 1]
    for i in range(size - 1, -1, -1):
        new = (gradient[i] - p4 * l_after) - p3 * l_next
        gradient[i] = p0 * new + p1 * l_next + p2 * l_after
        l_after, l_next = l_next, new
        adjoint[i] = new


@sum_part
def _products(adjoint, x, y, size, total):
    """Sums over one block: the gradients of one section's coefficients."""
    b0, b1, b2, a1, a2 = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(size):
        value = adjoint[i]
        b0 += value * x[i + 2]
        b1 += value * x[i + 1]
        b2 += value * x[i]
        a1 -= value * y[i + 1]
        a2 -= value * y[i]
    total[0] += b0
    total[1] += b1
    total[2] += b2
    total[3] += a1
    total[4] += a2
