"""Two signals of one channel side by side, each with settings of its own: the bits of one after the other in less time.

A recursion waits for itself, and one of two waits no longer than one of one.

numba's cache knows a loop by the content of its own file, so this one states that of dynamics and smoothed:
``1d4f37b97b1e``, a SHA-256. It changes with them.
"""

from __future__ import annotations

import numpy as np

from stylefx.effects.base import Process, as_block
from stylefx.effects.kernels.cascade import CascadeProcess, through
from stylefx.effects.kernels.dynamics import (
    CHUNK,
    TINY_DB,
    DynamicsProcess,
    gains_of,
    multiply,
    peaks_of,
    reductions_of,
    smooth,
)
from stylefx.effects.kernels.jit import kernel
from stylefx.effects.kernels.smoothed import WIDTH, smoothed_reductions_of_two


def beside(one: Process, other: Process, block: np.ndarray, other_block: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The next blocks of two streams at once. None where these two cannot go together, and then nothing was done."""
    if block.shape != other_block.shape or block.dtype != other_block.dtype or block.shape[0] != 1:
        return None
    if isinstance(one, CascadeProcess) and isinstance(other, CascadeProcess):
        return _cascades(one, other, block, other_block)
    if isinstance(one, DynamicsProcess) and isinstance(other, DynamicsProcess):
        return _dynamics(one, other, block, other_block)
    return None


def _cascades(
    one: CascadeProcess, other: CascadeProcess, block: np.ndarray, other_block: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    alike = (one.dtype, one.position, one.state.shape) == (other.dtype, other.position, other.state.shape)
    if not alike or len(one.steps) == 0:
        return None
    out: np.ndarray = np.empty(block.shape, one.dtype)
    other_out: np.ndarray = np.empty(block.shape, one.dtype)
    signals = as_block(block)[0], as_block(other_block)[0], out[0], other_out[0]
    through(*signals, one.steps, other.steps, one.state[0], other.state[0], 2, one.position)
    one.position += block.shape[1]
    other.position += block.shape[1]
    return out, other_out


def _dynamics(
    one: DynamicsProcess, other: DynamicsProcess, block: np.ndarray, other_block: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    if one.held or other.held or (one.dtype, one.position) != (other.dtype, other.position):
        return None
    out: np.ndarray = np.empty(block.shape, one.dtype)
    other_out: np.ndarray = np.empty(block.shape, one.dtype)
    signals, states = (as_block(block), as_block(other_block), out, other_out), np.array([one.state_db, other.state_db])
    curves, smoothers, gains = (one.curve, other.curve), (one.smoother, other.smoother), (one.gain, other.gain)
    dynamics_of_two(*signals, curves, smoothers, gains, states, one.position)
    one.state_db, other.state_db = states.tolist()
    one.position += block.shape[1]
    other.position += block.shape[1]
    return out, other_out


@kernel
def dynamics_of_two(one, other, out_one, out_other, curves, smoothers, gains, states, position):
    """``dynamics`` of two signals, (1, n) each; curves, smoothers, gains: one tuple each; states (2,), updated."""
    n = one.shape[1]
    peaks, work = np.zeros((2, CHUNK + WIDTH), np.float32), np.empty((2, CHUNK))
    scale = np.empty((2, CHUNK), np.float32)
    constants = np.array((*curves[0], *smoothers[0], *curves[1], *smoothers[1]))
    start, begin = 0, position
    while start < n:
        size = min(CHUNK - begin % CHUNK, n - start)
        here = slice(start, start + size)
        peaks_of(one[:, here], peaks[0])
        peaks_of(other[:, here], peaks[1])
        whole = np.int64(size - size % WIDTH)
        smoothed_reductions_of_two(
            np.int64(peaks.ctypes.data), np.int64(peaks.strides[0]), whole, np.int64(constants.ctypes.data),
            np.int64(work.ctypes.data), np.int64(work.strides[0]), np.int64(states.ctypes.data),
        )  # fmt: skip
        if whole < size:
            for k in range(2):
                reductions_of(peaks[k, whole:size].view(np.int32), work[k, whole:size], curves[k])
                states[k] = smooth(work[k, whole:size], smoothers[k], states[k])
        for k in range(2):
            gains_of(work[k, :size], scale[k].view(np.int32), gains[k])
        multiply(one[0, here], work[0], scale[0], out_one[0, here])
        multiply(other[0, here], work[1], scale[1], out_other[0, here])
        start += size
        begin += size
        if begin % CHUNK == 0:
            for k in range(2):
                if states[k] < TINY_DB:
                    states[k] = 0.0
    constants[0] = 0.0  # they must last until here
