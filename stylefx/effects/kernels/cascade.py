"""Signals through second-order sections: the form that is run, the compiled loop, and the stream."""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import Process, as_block
from stylefx.effects.kernels.jit import kernel
from stylefx.effects.kernels.pipeline import (
    LAG,
    LANES,
    WIDTH,
    one_vector,
    one_vector_of_two,
    three_vectors,
    three_vectors_of_two,
    two_vectors,
    two_vectors_of_two,
)

CHUNK = 256  # samples between two looks at the state for values that decay into denormals
TINY = 1e-30


def step_form(sos: np.ndarray) -> np.ndarray:
    """(sections, 6) -> what ``cascade`` takes, float64 (at most that many, 5): b0, b1 - a1 b0, b2 - a2 b0, -a1, -a2.

    A section with the states a and b says y = b0 x + a, then a, b = -a1 a + ((b1 - a1 b0) x + b), -a2 a + (b2 - a2 b0) x: only
    one multiply-add lies between a state and its next value. Neutral sections (numerator equal to denominator) pass every
    sample unchanged and are left out.
    """
    rows = []
    for b0, b1, b2, a0, a1, a2 in np.asarray(sos, dtype=np.float64).reshape(-1, 6).tolist():
        b0, b1, b2, a1, a2 = b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0
        row = (b0, b1 - a1 * b0, b2 - a2 * b0, -a1, -a2)
        if row[:3] != (1.0, 0.0, 0.0):
            rows.append(row)
    return np.array(rows).reshape(-1, 5)


@kernel
def cascade(audio, out, steps, state, position):
    """All sections over all channels. audio, out (channels, n), float32 or float64; steps from ``step_form``;
    state float64 (channels, sections, 2), updated; position = samples before this block, for the flushing only."""
    channels = audio.shape[0]
    for c in range(0, channels, 2):
        signals = min(2, channels - c)
        last = c + signals - 1
        through(audio[c], audio[last], out[c], out[last], steps, steps, state[c], state[last], signals, position)


@kernel
def through(one, other, out_one, out_other, steps_one, steps_other, state_one, state_other, signals, position):
    """One signal, which stands twice then, or two side by side, (n,) each, through as many sections each: steps (sections, 5),
    states (sections, 2), updated."""
    n, sections = len(one), steps_one.shape[0]
    groups = (signals * sections + LANES - 1) // LANES
    fixed, held = np.zeros((groups, 5, LANES)), np.zeros((groups, 2, LANES))
    buffer = np.zeros(signals * (CHUNK + LAG * sections))
    _fill(fixed, held, steps_one, state_one, 0, signals)
    if signals == 2:
        _fill(fixed, held, steps_other, state_other, 1, signals)
    start, begin = 0, position
    while start < n:
        size = min(CHUNK - begin % CHUNK, n - start)
        here = slice(start, start + size)
        _enter(buffer, one[here], other[here], signals)
        later = buffer[signals * _run(buffer, size, sections, fixed, held, signals) :]
        _leave(later, out_one[here], out_other[here], signals)
        start += size
        begin += size
        if begin % CHUNK == 0:
            _flush(held)
    _take(held, state_one, 0, signals)
    if signals == 2:
        _take(held, state_other, 1, signals)


@kernel
def _enter(buffer, one, other, signals):
    """One signal or two, interleaved. Arrays that begin where the samples do: LLVM sees no index below 0, and makes vectors."""
    if signals == 1:
        for i in range(len(one)):
            buffer[i] = one[i]
    else:
        for i in range(len(one)):
            buffer[2 * i], buffer[2 * i + 1] = one[i], other[i]


@kernel
def _leave(buffer, one, other, signals):
    if signals == 1:
        for i in range(len(one)):
            one[i] = buffer[i]
    else:
        for i in range(len(one)):
            one[i], other[i] = buffer[2 * i], buffer[2 * i + 1]


@kernel
def _fill(fixed, held, steps, state, signal, signals):
    """Coefficients and states of one signal of so many into groups as a pipeline takes them."""
    most = LANES // signals
    for s in range(steps.shape[0]):
        lane = s % most * signals + signal
        for k in range(5):
            fixed[s // most, k, lane] = steps[s, k]
        for k in range(2):
            held[s // most, k, lane] = state[s, k]


@kernel
def _take(held, state, signal, signals):
    """The states of one signal of so many out of the groups."""
    most = LANES // signals
    for s in range(state.shape[0]):
        for k in range(2):
            state[s, k] = held[s // most, k, s % most * signals + signal]


@kernel
def _run(buffer, size, sections, fixed, held, signals):
    """All sections over ``size`` samples of one signal or two interleaved ones; returns by how many samples they lie later."""
    most, lag = LANES // signals, np.int64(0)
    count, stride = np.int64(size), np.int64(8 * signals)
    for group in range((sections + most - 1) // most):
        number = np.int64(min(most, sections - group * most))
        vectors = (number * signals + WIDTH - 1) // WIDTH
        samples = np.int64(buffer.ctypes.data) + lag * stride
        c, h = np.int64(fixed[group].ctypes.data), np.int64(held[group].ctypes.data)
        if signals == 1:
            if vectors == 1:
                one_vector(samples, count, number, c, h)
            elif vectors == 2:
                two_vectors(samples, count, number, c, h)
            else:
                three_vectors(samples, count, number, c, h)
        elif vectors == 1:
            one_vector_of_two(samples, count, number, c, h)
        elif vectors == 2:
            two_vectors_of_two(samples, count, number, c, h)
        else:
            three_vectors_of_two(samples, count, number, c, h)
        lag += LAG * (number - 1)
    return lag


@kernel
def _flush(held):
    """States (groups, 2, LANES) that decay into denormals become zero."""
    for group in range(held.shape[0]):
        for lane in range(held.shape[2]):
            if abs(held[group, 0, lane]) < TINY and abs(held[group, 1, lane]) < TINY:
                held[group, 0, lane] = 0.0
                held[group, 1, lane] = 0.0


class CascadeProcess(Process):
    """A stream through second-order sections (sections, 6), the same for every channel; float64 state.

    ``dtype`` is that of the output: float32, or float64 for a stage inside another effect.
    """

    def __init__(self, sos: np.ndarray, channels: int, dtype: type = np.float32):
        self.steps = step_form(sos)
        self.state = np.zeros((channels, len(self.steps), 2))
        self.position = 0
        self.dtype = dtype

    def __call__(self, block: np.ndarray) -> np.ndarray:
        if len(self.steps) == 0:
            return block.astype(self.dtype)
        out: np.ndarray = np.empty(block.shape, self.dtype)
        cascade(as_block(block), out, self.steps, self.state, self.position)
        self.position += block.shape[1]
        return out
