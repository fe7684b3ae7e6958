"""Energy of any stretch of a tape, from the activity tracks: prefix sums, so that a stretch costs two look-ups."""

from __future__ import annotations

import numpy as np

from pipelines.catalog.measure import CODE_POWER
from pipelines.catalog.recordings import ActivityTracks, Recordings
from pipelines.plan.tapes import Tapes
from stylefx.effects.kernels.jit import kernel


class EnergyLine:
    """The tapes a..b with the energy up to every window's start. Lengths and positions are in frames at the corpus' rate."""

    def __init__(self, tapes: Tapes, a: int, b: int, recordings: Recordings, tracks: ActivityTracks, corpus_rate: int):
        members = slice(tapes.first[a], tapes.first[b])
        rows = tapes.member_row[members]
        self._first = tapes.first[a : b + 1] - tapes.first[a]
        self._begin = tapes.member_begin[tapes.first[a] : tapes.first[b] + 1]
        self._step = recordings.window_frames[rows] * (corpus_rate / np.maximum(recordings.sample_rate[rows], 1))
        counts = tracks.starts[rows + 1] - tracks.starts[rows]
        self._windows = np.concatenate([[0], np.cumsum(counts + 1)])  # one more than windows: the energy of the whole
        self._energy = np.empty(self._windows[-1])
        starts = tracks.starts[rows]
        _prefix_sums(tracks.codes(), starts, counts, self._step, self._begin, self._windows, CODE_POWER, self._energy)

    def weaker_half(self, tape: np.ndarray, start: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Mean power of the less active half of each stretch. tape: index from a on; start: on the tape (n,)."""
        out = np.empty(len(tape))
        _weaker_half(tape, start, frames, self._first, self._begin, self._windows, self._step, self._energy, out)
        return out


@kernel
def _prefix_sums(codes, starts, counts, step, begin, windows, code_power, energy):
    """energy[windows[m] + w]: of member m up to its window w; the last window ends where the member does."""
    for m in range(len(starts)):
        frames = float(begin[m + 1] - begin[m])
        total = 0.0
        at = windows[m]
        for w in range(counts[m]):
            energy[at + w] = total
            length = max(0.0, min(step[m], frames - w * step[m]))
            total += code_power[codes[starts[m] + w]] * length
        energy[at + counts[m]] = total


@kernel
def _energy_between(member, last, x, y, begin, windows, step, energy):
    """Energy from x to y on the line of all members, walking over the members in between."""
    total = 0.0
    while member < last:
        low, high = max(x, begin[member]), min(y, begin[member + 1])
        if high > low:
            total += _up_to(high - begin[member], member, begin, windows, step, energy)
            total -= _up_to(low - begin[member], member, begin, windows, step, energy)
        if begin[member + 1] >= y:
            break
        member += 1
    return total


@kernel
def _up_to(x, member, begin, windows, step, energy):
    """Energy of a member up to its frame x; within a window it grows evenly."""
    count = windows[member + 1] - windows[member] - 1
    if count == 0:
        return 0.0
    w = min(int(x / step[member]), count - 1)
    here, after = energy[windows[member] + w], energy[windows[member] + w + 1]
    length = min(step[member], begin[member + 1] - begin[member] - w * step[member])
    if length <= 0.0:
        return after
    return here + (after - here) * min(1.0, (x - w * step[member]) / length)


@kernel
def _weaker_half(tape, start, frames, first, begin, windows, step, energy, out):
    for i in range(len(tape)):
        member, last = first[tape[i]], first[tape[i] + 1]
        x = begin[member] + start[i]
        low, high = member, last - 1  # the member that holds x
        while low < high:
            middle = (low + high + 1) // 2
            if begin[middle] <= x:
                low = middle
            else:
                high = middle - 1
        half = frames[i] // 2
        a = _energy_between(low, last, x, x + half, begin, windows, step, energy) / max(1, half)
        b = _energy_between(low, last, x + half, x + frames[i], begin, windows, step, energy) / max(1, frames[i] - half)
        out[i] = min(a, b)
