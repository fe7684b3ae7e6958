"""Loudness and peaks: ITU-R BS.1770-4 integrated loudness in one compiled pass, sample peak and true peak.

pyloudnorm is the reference: the filters are its designs for any rate, the gating blocks its blocks, and the result
equals its double-precision result within 1e-9 LU.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from stylefx.effects.jit import kernel
from stylefx.errors import UserError

BLOCK_S = 0.4
ABSOLUTE_GATE_LUFS = -70.0
_STEP = 0.25  # of a block
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


def integrated_lufs(audio: np.ndarray, sample_rate: float) -> float:
    """Gated loudness of float (channels <= 5, samples) in LUFS; -inf where every block is below the absolute gate.

    UserError for less than one gating block (0.4 s), for which the standard defines nothing.
    """
    meter = LoudnessMeter(sample_rate, audio.shape[0])
    meter.add(audio)
    return meter.integrated_lufs()


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
        self._coefficients = k_weighting(self.sample_rate)
        self._state = np.zeros((channels, 4))
        self._closed: list[np.ndarray] = []  # energies of complete intervals, (intervals, channels) each
        self._num_closed = 0
        self._open = np.zeros(channels)

    def _bounds(self, first: int, last: int) -> np.ndarray:
        """Where intervals first .. last - 1 begin, in samples; the products in pyloudnorm's order, so truncated alike."""
        return (BLOCK_S * (np.arange(first, last) * _STEP) * self.sample_rate).astype(np.int64)

    def add(self, block: np.ndarray) -> None:
        """Next samples, float (channels, n)."""
        start, end = self.frames, self.frames + block.shape[1]
        more = int(block.shape[1] / (BLOCK_S * _STEP * self.sample_rate)) + 3
        bounds = self._bounds(self._num_closed + 1, self._num_closed + 1 + more)
        cuts = np.concatenate([[0], bounds[bounds <= end] - start, [end - start]])
        energies = np.zeros((self.channels, len(cuts) - 1))
        for channel in range(self.channels):
            _weighted_energies(block[channel], self._coefficients, self._state[channel], cuts, energies[channel])
        energies = energies.T
        energies[0] += self._open
        self._closed.append(energies[:-1])
        self._num_closed += len(energies) - 1
        self._open = energies[-1].copy()
        self.frames = end

    def block_powers(self) -> np.ndarray:
        """Mean square of each gating block, float64 (blocks, channels) (BS.1770-4 equation 1)."""
        duration_s = self.frames / self.sample_rate
        if self.frames < BLOCK_S * self.sample_rate:
            raise UserError(f"integrated loudness needs at least {BLOCK_S} s of audio, got {duration_s:.3f} s")
        num_blocks = int(np.round((duration_s - BLOCK_S) / (BLOCK_S * _STEP)) + 1)
        energies = np.concatenate([*self._closed, self._open[None], np.zeros((4, self.channels))])
        four = energies[:-3] + energies[1:-2] + energies[2:-1] + energies[3:]
        return four[:num_blocks] / (BLOCK_S * self.sample_rate)

    def integrated_lufs(self) -> float:
        """Gated loudness so far (BS.1770-4 equations 4 to 7)."""
        powers = self.block_powers()
        gains = _CHANNEL_GAINS[: self.channels]
        with np.errstate(divide="ignore"):
            levels = _OFFSET_LU + 10.0 * np.log10(powers @ gains)
        loud = levels >= ABSOLUTE_GATE_LUFS
        if not loud.any():
            return -math.inf
        relative_gate = _OFFSET_LU + 10.0 * math.log10(powers[loud].mean(axis=0) @ gains) - 10.0
        loud = (levels > relative_gate) & (levels > ABSOLUTE_GATE_LUFS)
        if not loud.any():
            return -math.inf
        return _OFFSET_LU + 10.0 * math.log10(powers[loud].mean(axis=0) @ gains)


@lru_cache(maxsize=64)
def k_weighting(sample_rate: float) -> np.ndarray:
    """b0 b1 b2 a1 a2 of the two sections of the K-weighting at a rate, float64 (10,): shelf, then high pass.

    Bilinear designs (RBJ cookbook) of the standard's curves: +4 dB above 1500 Hz with Q 1/sqrt(2), 38 Hz with Q 0.5.
    """
    amplitude = 10.0 ** (4.0 / 40.0)
    w, q = 2.0 * math.pi * 1500.0 / sample_rate, 1.0 / math.sqrt(2.0)
    cosine, alpha, root = math.cos(w), math.sin(w) / (2.0 * q), math.sqrt(amplitude)
    up, down = amplitude + 1.0, amplitude - 1.0
    b = [amplitude * (up + down * cosine + 2 * root * alpha), -2 * amplitude * (down + up * cosine)]
    b.append(amplitude * (up + down * cosine - 2 * root * alpha))
    a = [up - down * cosine + 2 * root * alpha, 2 * (down - up * cosine), up - down * cosine - 2 * root * alpha]
    shelf = [b[0] / a[0], b[1] / a[0], b[2] / a[0], a[1] / a[0], a[2] / a[0]]

    w, q = 2.0 * math.pi * 38.0 / sample_rate, 0.5
    cosine, alpha = math.cos(w), math.sin(w) / (2.0 * q)
    a0 = 1.0 + alpha
    high_pass = [(1 + cosine) / 2 / a0, -(1 + cosine) / a0, (1 + cosine) / 2 / a0, -2 * cosine / a0, (1 - alpha) / a0]
    return np.array(shelf + high_pass)


@kernel
def _weighted_energies(samples, c, state, cuts, energies):
    """Filter one channel and sum squares between the cuts; transposed direct form II, state carried over."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    b0, b1, b2, a1, a2 = c[0], c[1], c[2], c[3], c[4]
    d0, d1, d2, e1, e2 = c[5], c[6], c[7], c[8], c[9]
    for i in range(len(cuts) - 1):
        total = 0.0
        for n in range(cuts[i], cuts[i + 1]):
            x = np.float64(samples[n])
            y = b0 * x + s0
            s0 = b1 * x - a1 * y + s1
            s1 = b2 * x - a2 * y
            z = d0 * y + s2
            s2 = d1 * y - e1 * z + s3
            s3 = d2 * y - e2 * z
            total += z * z
        energies[i] = total
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


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
