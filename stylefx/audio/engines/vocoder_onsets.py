"""Where attacks are: sudden rises of the level in several frequency bands at once."""

from __future__ import annotations

import numpy as np
import scipy.fft

from stylefx.audio.fft import windowed_rfft
from stylefx.effects.kernels.jit import kernel

WINDOW_S = 256 / 24000
HOP_S = 128 / 24000
RISE_S = 0.008  # how fast an attack is at least
RISE_DB = 3.0  # per band, below which a rise is none
MEAN_RISE_DB = 3.0  # over the bands, from which it is an attack
_NUM_BANDS = 8
_NEIGHBOURHOOD_S = 0.02  # an attack is the largest rise within
_GAP_S = 0.03  # between attacks
_SEARCH_S = 0.009  # around the coarse time, for the exact one
_EDGE_S = 0.002  # spans compared there
_BLOCK_FRAMES = 256
_FLOOR = 1e-7  # of the largest band power: -70 dB


def find_onsets(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Attacks of float32 (channels, samples), in samples, int64 (onsets,), ascending."""
    hop = max(1, round(HOP_S * sample_rate))
    window = 2 * max(8, scipy.fft.next_fast_len(round(WINDOW_S * sample_rate / 2), real=True))
    powers = _band_powers(audio, window, hop)
    lag, reach = max(1, round(RISE_S * sample_rate / hop)), max(1, round(_NEIGHBOURHOOD_S * sample_rate / hop))
    if len(powers) <= lag or powers.max() <= 0.0:
        return np.zeros(0, np.int64)
    levels = 10.0 * np.log10(powers + _FLOOR * powers.max())
    rises = np.maximum(0.0, levels[lag:] - levels[:-lag] - RISE_DB).mean(axis=1)
    padded = np.pad(rises, reach)
    largest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    found = np.flatnonzero((rises > MEAN_RISE_DB) & (rises == largest))
    times = np.rint((found + 0.5 * lag) * hop).astype(np.int64)
    _sharpen(audio, times, round(_SEARCH_S * sample_rate), max(2, round(_EDGE_S * sample_rate)), times)
    kept: list[int] = []
    for time in times.tolist():
        if not kept or time - kept[-1] > _GAP_S * sample_rate:
            kept.append(time)
    return np.array(kept, np.int64)


def _band_powers(audio: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Power per frame and band, summed over the channels, float64 (frames, bands); frame i is centred on sample i x hop."""
    bins = window // 2 + 1
    edges = np.unique(np.geomspace(1, bins - 1, _NUM_BANDS + 1).astype(np.int64))
    taper = np.hanning(window).astype(np.float32)
    frames = audio.shape[1] // hop + 1
    powers = np.zeros((frames, len(edges) - 1))
    for start in range(0, frames, _BLOCK_FRAMES):
        centres = np.arange(start, min(frames, start + _BLOCK_FRAMES)) * hop
        spectra = windowed_rfft(audio, centres, taper)
        _add_powers(spectra.view(np.float32), edges, powers[start : start + len(centres)])
    return powers


@kernel
def _add_powers(spectra, edges, powers):
    """spectra: float32 (frames, channels, 2 x bins), real and imaginary parts in turn."""
    power = np.empty(spectra.shape[2], np.float32)
    for i in range(spectra.shape[0]):
        power[:] = np.float32(0.0)
        for c in range(spectra.shape[1]):
            one = spectra[i, c]
            for b in range(len(power)):
                power[b] += one[b] * one[b]
        for band in range(len(edges) - 1):
            powers[i, band] = _sum(power[2 * edges[band] : 2 * edges[band + 1]])


@kernel
def _sum(values):
    """Four sums side by side: one waits for every addition."""
    a = b = c = d = np.float32(0.0)
    whole = len(values) // 4 * 4
    for i in range(0, whole, 4):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
    for i in range(whole, len(values)):
        a += values[i]
    return (a + b) + (c + d)


@kernel
def _sharpen(audio, times, reach, edge, out):
    """Move each time to where, within ``reach``, the power of the differenced signal rises most from one ``edge`` to the next."""
    length = audio.shape[1]
    power = np.zeros(2 * (reach + edge) + 1)
    for i in range(len(times)):
        first = times[i] - reach - edge
        power[0] = 0.0
        for j in range(2 * (reach + edge)):
            n, total = first + j, 0.0
            if 0 < n < length:
                for c in range(audio.shape[0]):
                    total += (audio[c, n] - audio[c, n - 1]) ** 2
            power[j + 1] = power[j] + total
        floor, best, at = 1e-3 * power[-1] + 1e-20, 0.0, reach
        for j in range(2 * reach):
            before, after = power[j + edge] - power[j], power[j + 2 * edge] - power[j + edge]
            rise = after / (before + floor)
            if rise > best:
                best, at = rise, j
        if best > 4.0:
            out[i] = first + at + edge
