"""The character of a sound, for comparing recordings that are not aligned: spectrum and dynamics at equal loudness.

| name        | what it is |
|-------------|------------|
| octave_db   | mean absolute difference of third-octave levels, 63 Hz to 6.3 kHz (IEC 61260; edges 56 Hz to 7.1 kHz), dB |
| crest_db    | difference of the crest factors 20 log10(peak / RMS), dB |
| spread_db   | difference of the spreads (standard deviations) of the levels of 50 ms frames, dB |
| mr_stft     | multi-resolution STFT distance; only between signals that are aligned |

Both signals are first brought to one loudness (BS.1770-4): what a fader can undo is no difference of character.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stylefx.audio.distance import MR_STFT_SIZES
from stylefx.audio.spectra import average_power, magnitude_frames
from stylefx.evaluation.metrics.audio import loudness, peak_level_db, rms_level_db

CHARACTER = ("octave_db", "crest_db", "spread_db")
CENTRES_HZ = 1000.0 * 10.0 ** (np.arange(-12, 9) / 10)
LEVEL_LUFS = -23.0
FRAME_S = 0.05
_FLOOR_DB = -100.0  # a band below it (dBFS at -23 LUFS) is empty, whatever storage left in it
_QUIET_DB = 50.0  # frames more than this below the loudest are pauses
_BIN_HZ = 3.0


@dataclass(frozen=True)
class Character:
    """One signal at -23 LUFS: levels in dB, and the spectra that MR-STFT compares."""

    octave_db: np.ndarray  # (bands,) those below 0.45 of the rate
    crest_db: float
    spread_db: float
    magnitudes: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, audio: np.ndarray, sample_rate: float, spectra: bool = True) -> Character:
        """(channels, samples); ``spectra`` False leaves out what only MR-STFT needs. Values of silence are NaN."""
        audio = at_loudness(audio, sample_rate)
        frames = tuple(magnitude_frames(audio, n, n // 2) for n in MR_STFT_SIZES) if spectra else ()
        return cls(
            third_octaves_db(audio, sample_rate),
            peak_level_db(audio) - rms_level_db(audio),
            level_spread_db(audio, sample_rate),
            frames,
        )

    def distance(self, other: Character) -> dict[str, float]:
        """The differences of ``CHARACTER``."""
        values = {
            "octave_db": float(np.abs(self.octave_db - other.octave_db).mean()),
            "crest_db": abs(self.crest_db - other.crest_db),
            "spread_db": abs(self.spread_db - other.spread_db),
        }
        return {name: v if math.isfinite(v) else math.nan for name, v in values.items()}

    def mr_stft(self, other: Character) -> float:
        """Distance of aligned signals of one length."""
        total = sum(
            np.abs(x - y).mean() + np.abs(np.log(x) - np.log(y)).mean()
            for x, y in zip(self.magnitudes, other.magnitudes, strict=True)
        )
        return float(total / len(self.magnitudes))


def at_loudness(audio: np.ndarray, sample_rate: float, lufs: float = LEVEL_LUFS) -> np.ndarray:
    """Float64 audio at ``lufs``; NaN where there is no loudness."""
    have = loudness(audio, sample_rate)
    return np.asarray(audio, np.float64) * (10 ** ((lufs - have) / 20) if math.isfinite(have) else math.nan)


def third_octaves_db(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Levels of third-octave bands in dBFS, float64 (bands,): power of the average spectrum between the band's edges, bins
    that an edge divides counted in part. Bands that reach above 0.45 of the rate are left out."""
    size = 1 << math.ceil(math.log2(sample_rate / _BIN_HZ))
    frequency, power = average_power(audio, sample_rate, size)
    step = frequency[1]
    total = np.concatenate([[0.0], np.cumsum(power * step)])
    borders = np.arange(len(total)) * step - step / 2
    centres = CENTRES_HZ[0.45 * sample_rate >= CENTRES_HZ * 10**0.05]
    low, high = (np.interp(centres * 10**side, borders, total) for side in (-0.05, 0.05))
    return 10 * np.log10(np.maximum(high - low, 10 ** (_FLOOR_DB / 10)))


def level_spread_db(audio: np.ndarray, sample_rate: float) -> float:
    """Standard deviation of the levels of 50 ms frames, dB, pauses aside (frames over 50 dB below the loudest)."""
    size = max(1, round(FRAME_S * sample_rate))
    count = audio.shape[1] // size
    if count == 0 or not np.isfinite(audio).all():
        return math.nan
    frames = np.asarray(audio[:, : count * size], np.float64).reshape(audio.shape[0], count, size)
    level = 10 * np.log10(np.maximum(np.square(frames).mean(axis=(0, 2)), 1e-20))
    return float(level[level > level.max() - _QUIET_DB].std())
