"""Our own phase vocoder: pitch and tempo in one pass of time scaling, then one resampling by soxr HQ.

Time is scaled by ratio / tempo (ratio = 2 ** (cents / 1200)) and the result played ``ratio`` times faster. Every
synthesis frame takes its magnitudes from the analysis at the same place of the input, and its phases from the frame
before, advanced by what the input's phases advance in one synthesis hop: two analyses, no unwrapping, no trigonometry
(M. Puckette 1995 for the second analysis; Laroche and Dolson 1999 for identity phase locking).

Attacks: a phase vocoder smears an attack over the frames that see it, because each puts it elsewhere. Here attacks are
found first, and the bins whose power rises there are copied, in all frames that see the attack coming and in those
after, from an analysis whose distance to the attack is the frame's own: unscaled time around the attack, so all
frames put it in the same place with the phases of the input, while the other bins go on (A. Roebel 2003 for resetting
only the bins of an attack). When stretching, scaled time would then go back to where the analysis still sees the attack
and play it a second time: the analysis waits where it no longer does until scaled time comes by.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft

from stylefx.audio.engines.length import fit_frames
from stylefx.audio.engines.vocoder_kernels import attack_bins, overlap_add, propagate
from stylefx.audio.engines.vocoder_onsets import find_onsets
from stylefx.audio.fft import irfft_rows, windowed_rfft
from stylefx.audio.resampling import resample

WINDOW_S = 0.096
OVERLAP = 3  # hann squared adds up to a constant from three on; more was not nearer to the truth
HELD_AFTER = (
    0.45  # of the window: how long after an attack its bins stay in unscaled time; a window that far off sees -64 dB of it
)
RISE = 4.0  # of a bin's power at an attack, from which it belongs to it
_CHUNK_FRAMES = 32


class Vocoder:
    name = "vocoder"
    working_peak = 1.0

    def preflight(self) -> str:
        return "vocoder (built in)"

    def __call__(self, audio: np.ndarray, sample_rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
        ratio = 2.0 ** (pitch_cents / 1200.0)
        if tempo == ratio:
            return resample(fit_frames(audio, math.ceil(out_frames * ratio)), sample_rate * ratio, sample_rate, out_frames)
        stretched = scale_time(audio, sample_rate, ratio / tempo, math.ceil(out_frames * ratio) + 16)
        if ratio == 1.0:
            return stretched
        return resample(stretched, sample_rate * ratio, sample_rate, out_frames)


def scale_time(audio: np.ndarray, sample_rate: float, factor: float, out_frames: int) -> np.ndarray:
    """Make float32 (channels, samples) ``factor`` times as long, pitch unchanged; returns (channels, out_frames)."""
    hop = scipy.fft.next_fast_len(max(16, round(WINDOW_S * sample_rate / OVERLAP)), real=True)
    size = OVERLAP * hop
    window = np.hanning(size + 1)[:size].astype(np.float32)
    synthesis = window * np.float32(1.0 / (0.375 * OVERLAP))  # hann**2 adds up to 0.375 x overlap
    first = -((OVERLAP - 1) // 2)  # the first frame that reaches the output
    centres = np.arange(first, math.ceil((out_frames + size // 2) / hop)) * hop
    attacks = _Attacks(audio, sample_rate, factor, centres, window)
    places = attacks.places

    out = np.zeros((audio.shape[0], out_frames), np.float32)
    last = _pairs(windowed_rfft(audio, places[:1], window))[0].copy()
    for start in range(0, len(centres), _CHUNK_FRAMES):
        chunk = slice(start, min(len(centres), start + _CHUNK_FRAMES))
        spectra = windowed_rfft(audio, np.concatenate([places[chunk], places[chunk] - hop]), window)
        now, earlier = spectra[: chunk.stop - start], spectra[chunk.stop - start :]
        if start == 0:
            earlier[0] = now[0]  # the first frame keeps its phases
        propagate(_pairs(now), _pairs(earlier), last, attacks.which[chunk], attacks.flags, _pairs(attacks.spectra(chunk)))
        frames = irfft_rows(now, size)
        overlap_add(frames, synthesis, hop, int(centres[start]) - size // 2, out)
    return out


class _Attacks:
    """Which frames see an attack, which of its bins they take from unscaled time, those spectra, and where all frames analyse.

    ``which``: int64 (frames,), the attack of each frame, -1 for none; ``flags``: bool (attacks, bins); ``places``: int64
    (frames,), the input's sample on which each frame's analysis is centred.
    """

    def __init__(self, audio: np.ndarray, sample_rate: float, factor: float, centres: np.ndarray, window: np.ndarray):
        self._audio, self._window = audio, window
        size = len(window)
        onsets = find_onsets(audio, sample_rate)
        self.places = np.rint(centres / factor).astype(np.int64)
        self.which = np.full(len(centres), -1, np.int64)
        self.flags = np.zeros((len(onsets), size // 2 + 1), np.bool_)
        self._unscaled = np.zeros(len(centres), np.int64)
        if len(onsets) == 0:
            return
        after, before = windowed_rfft(audio, onsets + round(0.3 * size), window), windowed_rfft(audio, onsets - size // 2, window)
        attack_bins(before, after, RISE, self.flags)
        targets = onsets * factor
        nearest = np.searchsorted(0.5 * (targets[1:] + targets[:-1]), centres)
        distance = centres - targets[nearest]
        coming = 0.5 * max(1.0, factor) * size  # ahead of this no analysis sees the attack, stretched or not
        held = HELD_AFTER * min(1.0, factor) * size  # shortened, scaled time is out of its sight the sooner
        seen = (distance > -coming) & (distance <= held)
        self.which[seen] = nearest[seen]
        self._unscaled = np.rint(distance + onsets[nearest]).astype(np.int64)
        waiting = (distance > held) & (distance < held * factor)
        self.places[waiting] = onsets[nearest[waiting]] + round(held)

    def spectra(self, chunk: slice) -> np.ndarray:
        """The unscaled spectra of the chunk's frames that see an attack, in order, complex64 (n, channels, bins)."""
        seen = self.which[chunk] >= 0
        return windowed_rfft(self._audio, self._unscaled[chunk][seen], self._window)


def _pairs(spectra: np.ndarray) -> np.ndarray:
    """complex64 (..., bins) seen as float32 (..., 2 x bins)."""
    return spectra.view(np.float32)
