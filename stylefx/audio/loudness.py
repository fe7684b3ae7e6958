"""Loudness and peaks: ITU-R BS.1770-4 integrated loudness in one compiled pass, sample peak and true peak.

The K-weighting of any rate comes from the analog parameters behind the standard's table for 48 kHz, and an incomplete last
gating block is not used, as the standard says. The package pyloudnorm, whose default filters only come near the standard's
(-0.04 LU at 48 kHz, -0.2 at 8 kHz) and whose last block may be incomplete, is a meter of its own name for what was
published with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stylefx.audio.weighting import energies_of_two, weighted_energies, weighting_steps
from stylefx.effects.kernels.jit import kernel
from stylefx.errors import UserError
from stylefx.extras import install_line

METERS = ("bs1770", "pyloudnorm")
BLOCK_S = 0.4
ABSOLUTE_GATE_LUFS = -70.0
_STEPS_PER_S = 10  # a gating block starts every 0.1 s
_STEPS_PER_BLOCK = 4
_CHANNEL_GAINS = np.array([1.0, 1.0, 1.0, 1.41, 1.41])  # left, right, centre, surrounds: BS.1770-4 table 3
_OFFSET_LU = -0.691

# BS.1770-4 annex 2: the interpolation filter of four phases, 12 taps each; phases 2 and 3 mirror 1 and 0.
_PHASE_0 = [0.001708984375, 0.010986328125, -0.0196533203125, 0.033203125, -0.0594482421875, 0.1373291015625]
_PHASE_0 += [0.97216796875, -0.102294921875, 0.047607421875, -0.026611328125, 0.014892578125, -0.00830078125]
_PHASE_1 = [-0.0291748046875, 0.029296875, -0.0517578125, 0.089111328125, -0.16650390625, 0.465087890625]
_PHASE_1 += [0.77978515625, -0.2003173828125, 0.1015625, -0.0582275390625, 0.0330810546875, -0.0189208984375]
_PEAK_BLOCK = 1024
TRUE_PEAK_TAPS = np.array([_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1]])


def peak_dbfs(audio: np.ndarray) -> float:
    """Largest absolute sample of all channels in dB relative to 1; -inf for silence."""
    return _decibels(max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0))))


def true_peak_dbtp(audio: np.ndarray, sample_rate: float) -> float:
    """Largest absolute value of all channels, 4 x oversampled by the filter of BS.1770-4 annex 2, in dBTP; -inf for silence.

    audio: float (channels, samples). The filter is the standard's for 48 kHz; at other rates it does the same relative to
    the rate, so a rate of 96 kHz and above is measured more finely than the standard asks. Never below the sample peak.
    """
    if not sample_rate > 0:
        raise UserError(f"true peak needs a positive sample rate, got {sample_rate}")
    peak = max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))
    taps, margin = TRUE_PEAK_TAPS.astype(np.float32), TRUE_PEAK_TAPS.shape[1] - 1
    for channel in audio:
        peak = max(peak, float(_largest_interpolated(np.pad(channel.astype(np.float32), margin), taps)))
    return _decibels(peak)


def integrated_lufs(audio: np.ndarray, sample_rate: float, meter: str = "bs1770") -> float:
    """Gated loudness of float (channels <= 5, samples) in LUFS; -inf where every block is below the absolute gate.

    ``meter``: "bs1770", the standard's, or "pyloudnorm", that of the package. UserError for less than one gating block
    (0.4 s), for which the standard defines nothing: callers that meet short files ask ``has_loudness`` first.
    """
    if meter not in METERS:
        raise UserError(f"there is no loudness meter {meter!r}; known are {', '.join(METERS)}")
    stream = LoudnessMeter(sample_rate, audio.shape[0])
    if meter == "pyloudnorm":
        _require_block(audio.shape[1], stream.sample_rate)
        return pyloudnorm_lufs(audio, sample_rate)
    stream.add(audio)
    return stream.integrated_lufs()


def pyloudnorm_lufs(audio: np.ndarray, sample_rate: float, filters: str = "K-weighting") -> float:
    """What the package pyloudnorm reads, LUFS: its default filters, or "DeMan", which are the standard's at every rate."""
    try:
        import pyloudnorm
    except ImportError as error:
        raise UserError(f"the meter 'pyloudnorm' needs the package pyloudnorm: {install_line('pipe')}") from error
    meter = pyloudnorm.Meter(sample_rate, filter_class=filters)
    with np.errstate(divide="ignore", invalid="ignore"):  # of silence it takes the logarithm and the mean of nothing
        return float(meter.integrated_loudness(audio.T.astype(np.float64)))


def has_loudness(frames: int, sample_rate: float) -> bool:
    """Whether so many frames hold a gating block, without which no loudness is defined."""
    return frames >= round(_STEPS_PER_BLOCK * (sample_rate / _STEPS_PER_S))


def _require_block(frames: int, sample_rate: float) -> None:
    if not has_loudness(frames, sample_rate):
        raise UserError(f"integrated loudness needs at least {BLOCK_S} s of audio, got {frames / sample_rate:.3f} s")


class LoudnessMeter:
    """Integrated loudness of a stream: ``add`` blocks (channels, n) of any length, then ``integrated_lufs``.

    Gating blocks of 0.4 s start every 0.1 s and end where another starts, so the energies of those 0.1 s intervals are
    all that is kept.
    """

    def __init__(self, sample_rate: float, channels: int):
        if not 1 <= channels <= len(_CHANNEL_GAINS):
            raise UserError(f"loudness is defined for 1 to 5 channels, the audio has {channels}")
        if not sample_rate > 0:
            raise UserError(f"loudness needs a positive sample rate, got {sample_rate}")
        self.sample_rate, self.channels = float(sample_rate), channels
        self.frames = 0
        self._coefficients = weighting_steps(self.sample_rate)
        self._state = np.zeros((channels, 4))
        self._closed: list[np.ndarray] = []  # energies of complete intervals, (intervals, channels) each
        self._num_closed = 0
        self._open = np.zeros(channels)

    def _bounds(self, first: int, last: int) -> np.ndarray:
        """Where intervals first .. last - 1 begin, in samples: the nearest to multiples of 0.1 s."""
        return np.rint(np.arange(first, last) * (self.sample_rate / _STEPS_PER_S)).astype(np.int64)

    def add(self, block: np.ndarray) -> None:
        """Next samples, float (channels, n)."""
        add_together([self], [block])

    def _cuts(self, frames: int) -> np.ndarray:
        """Where the next ``frames`` begin, where intervals begin in them, and where they end."""
        more = int(frames * _STEPS_PER_S / self.sample_rate) + 3
        bounds = self._bounds(self._num_closed + 1, self._num_closed + 1 + more) - self.frames
        return np.concatenate([[0], bounds[bounds <= frames], [frames]])

    def _take(self, energies: np.ndarray, frames: int) -> None:
        """Energies between those places, (intervals, channels)."""
        energies[0] += self._open
        self._closed.append(energies[:-1])
        self._num_closed += len(energies) - 1
        self._open = energies[-1].copy()
        self.frames += frames

    def block_powers(self) -> np.ndarray:
        """Mean square of each complete gating block, float64 (blocks, channels) (BS.1770-4 equation 1)."""
        _require_block(self.frames, self.sample_rate)
        energies = np.concatenate(self._closed)
        blocks = len(energies) - (_STEPS_PER_BLOCK - 1)
        totals = sum(energies[i : i + blocks] for i in range(_STEPS_PER_BLOCK))
        bounds = self._bounds(0, len(energies) + 1)
        return totals / (bounds[_STEPS_PER_BLOCK:] - bounds[:-_STEPS_PER_BLOCK])[:, None]

    def integrated_lufs(self) -> float:
        """Gated loudness so far (BS.1770-4 equations 4 to 7)."""
        powers = self.block_powers()
        gains = _CHANNEL_GAINS[: self.channels]
        with np.errstate(divide="ignore"):
            levels = _OFFSET_LU + 10.0 * np.log10(powers @ gains)
        loud = levels > ABSOLUTE_GATE_LUFS
        if not loud.any():
            return -math.inf
        relative_gate = _OFFSET_LU + 10.0 * math.log10(powers[loud].mean(axis=0) @ gains) - 10.0
        loud = (levels > relative_gate) & (levels > ABSOLUTE_GATE_LUFS)
        if not loud.any():
            return -math.inf
        return _OFFSET_LU + 10.0 * math.log10(powers[loud].mean(axis=0) @ gains)


def add_together(meters: Sequence[LoudnessMeter], blocks: Sequence[np.ndarray]) -> None:
    """``meter.add(block)`` for meters of one rate that have heard as much, and blocks of one length: faster, the same numbers."""
    frames, cuts = blocks[0].shape[1], meters[0]._cuts(blocks[0].shape[1])
    energies = [np.zeros((meter.channels, len(cuts) - 1)) for meter in meters]
    rows = [
        (np.ascontiguousarray(block[channel]), meter._state[channel], energy[channel])
        for meter, block, energy in zip(meters, blocks, energies)
        for channel in range(meter.channels)
    ]
    if len({(m.sample_rate, m.frames, b.shape[1]) for m, b in zip(meters, blocks)}) > 1 or len({r[0].dtype for r in rows}) > 1:
        raise ValueError("meters that listen together must have one rate, have heard as much, and hear blocks of one length")
    fixed = meters[0]._coefficients
    for one, other in zip(rows[::2], rows[1::2]):
        energies_of_two(one[0], other[0], fixed, one[1], other[1], cuts, one[2], other[2])
    for samples, state, energy in rows[len(rows) - len(rows) % 2 :]:
        weighted_energies(samples, fixed, state, cuts, energy)
    for meter, energy in zip(meters, energies):
        meter._take(energy.T, frames)


def integrated_lufs_together(signals: Sequence[np.ndarray], sample_rate: float, meter: str = "bs1770") -> list[float]:
    """``integrated_lufs`` of signals of one length, (channels, samples) each."""
    if meter != "bs1770":
        return [integrated_lufs(signal, sample_rate, meter) for signal in signals]
    meters = [LoudnessMeter(sample_rate, signal.shape[0]) for signal in signals]
    if meters:
        add_together(meters, signals)
    return [meter.integrated_lufs() for meter in meters]


@kernel
def _largest_interpolated(padded, taps):
    """Largest absolute output of the polyphase filter; ``padded`` has taps - 1 zeros at either end. In blocks, the taps
    outside and the samples inside, so that the processor's vector units do the work."""
    length = taps.shape[1]
    outputs = len(padded) - length + 1
    sums = np.zeros(_PEAK_BLOCK, padded.dtype)
    largest = np.float32(0.0)
    for start in range(0, outputs, _PEAK_BLOCK):
        size = min(_PEAK_BLOCK, outputs - start)
        for phase in range(taps.shape[0]):
            part = sums[:size]
            part[:] = 0.0
            for k in range(length):
                tap, source = taps[phase, length - 1 - k], padded[start + k : start + k + size]
                for j in range(size):
                    part[j] += tap * source[j]
            for j in range(size):
                largest = max(largest, abs(part[j]))
    return largest


def _decibels(amplitude: float) -> float:
    return 20.0 * math.log10(amplitude) if amplitude > 0.0 else -math.inf
