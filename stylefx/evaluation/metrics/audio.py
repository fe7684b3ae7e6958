"""Distances between an output and its target, computed in float64. Lower is better, but for PESQ.

| name    | what it is |
|---------|------------|
| mr_stft | multi-resolution STFT distance: L1 of linear and of log magnitude, FFT 32..32768, hop half; auraloss' |
| msd     | mel spectral distance: 128 mels of 65536-point frames, L1 of linear + log |
| sce_hz  | difference of the mean spectral centroids (2048/512), Hz |
| rms_db  | difference of the RMS levels, dB |
| lufs    | difference of the integrated loudness, LU; the meter is pyloudnorm's, as in the published tables |
| crest_db| difference of the crest factors 20 log10(peak / RMS), dB |
| pesq    | wide-band PESQ (ITU-T P.862.2) at 16 kHz, 1..4.64, higher is better; speech only |

A value that does not exist (silence has no loudness, PESQ found no utterance) is NaN; summaries count and leave out NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stylefx.audio.distance import MR_STFT_SIZES
from stylefx.audio.loudness import has_loudness, integrated_lufs
from stylefx.audio.spectra import magnitude_frames, power_frames, sparse_mel_filters
from stylefx.errors import UserError

MSD_FRAME = 65536
MSD_MELS = 128
METRICS = ("mr_stft", "msd", "sce_hz", "rms_db", "lufs", "crest_db")


@dataclass(frozen=True)
class Features:
    """What the metrics compare, of one signal; computed once for a target that meets several outputs."""

    shape: tuple[int, int]
    magnitudes: tuple[np.ndarray, ...]  # one per resolution, (channels, frames, bins)
    logarithms: tuple[np.ndarray, ...]
    mel: np.ndarray  # (channels, frames, mels)
    centroid_hz: float
    rms_db: float
    loudness_lufs: float
    crest_db: float

    @classmethod
    def of(cls, audio: np.ndarray, sample_rate: float) -> Features:
        """(channels, samples) at ``sample_rate`` Hz."""
        audio = np.asarray(audio)
        magnitudes = tuple(magnitude_frames(audio, size, size // 2) for size in MR_STFT_SIZES)
        level_db = rms_level_db(audio)
        return cls(
            shape=audio.shape,
            magnitudes=magnitudes,
            logarithms=tuple(np.log(m) for m in magnitudes),
            mel=mel_magnitudes(audio, sample_rate),
            centroid_hz=mean_centroid_hz(audio, sample_rate),
            rms_db=level_db,
            loudness_lufs=loudness(audio, sample_rate, meter="pyloudnorm"),
            crest_db=peak_level_db(audio) - level_db if math.isfinite(level_db) else math.nan,
        )


def compare(output: Features, target: Features) -> dict[str, float]:
    """All metrics but PESQ; NaN where one does not exist."""
    if output.shape != target.shape:
        raise UserError(f"output and target must have the same shape (channels, samples), got {output.shape} and {target.shape}")
    mr_stft = 0.0
    for x, y, log_x, log_y in zip(output.magnitudes, target.magnitudes, output.logarithms, target.logarithms, strict=True):
        mr_stft += np.abs(x - y).mean() + np.abs(log_x - log_y).mean()
    values = {
        "mr_stft": mr_stft / len(output.magnitudes),
        "msd": np.abs(output.mel - target.mel).mean() + np.abs(np.log(output.mel) - np.log(target.mel)).mean(),
        "sce_hz": abs(output.centroid_hz - target.centroid_hz),
        "rms_db": _difference(output.rms_db, target.rms_db),
        "lufs": _difference(output.loudness_lufs, target.loudness_lufs),
        "crest_db": _difference(output.crest_db, target.crest_db),
    }
    return {name: float(v) if math.isfinite(v) else math.nan for name, v in values.items()}


def measure(output: np.ndarray, target: np.ndarray, sample_rate: float) -> dict[str, float]:
    """All metrics but PESQ between two signals (channels, samples) at ``sample_rate`` Hz."""
    if not np.isfinite(output).all():
        return dict.fromkeys(METRICS, math.nan)
    return compare(Features.of(output, sample_rate), Features.of(target, sample_rate))


def mel_magnitudes(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Mel magnitudes of 65536-point frames, hop 65536: (channels, samples) -> (channels, frames, 128).

    Frames are centred, as in auraloss: 65536 samples give two, 131072 three. At 24 kHz a frame lasts 2.73 s.
    """
    magnitude = magnitude_frames(audio, MSD_FRAME, MSD_FRAME)
    channels, frames, bins = magnitude.shape
    mel = sparse_mel_filters(float(sample_rate), MSD_FRAME, MSD_MELS) @ magnitude.reshape(-1, bins).T
    return mel.T.reshape(channels, frames, MSD_MELS)


def msd(output: np.ndarray, target: np.ndarray, sample_rate: float) -> float:
    """Mel spectral distance of (channels, samples) signals."""
    x, y = mel_magnitudes(output, sample_rate), mel_magnitudes(target, sample_rate)
    return float(np.abs(x - y).mean() + np.abs(np.log(x) - np.log(y)).mean())


def mean_centroid_hz(audio: np.ndarray, sample_rate: float) -> float:
    """Centroid of the magnitude spectrum, mean over frames (2048, hop 512, zero padded ends) and channels; silence has 0 Hz."""
    magnitude = np.sqrt(power_frames(audio, 2048, 512, pad_mode="constant"))
    frequency = np.fft.rfftfreq(2048, 1.0 / sample_rate)
    total = magnitude.sum(axis=-1)
    weighted = magnitude @ frequency
    return float(np.divide(weighted, total, out=np.zeros_like(total), where=total > np.finfo(np.float32).tiny).mean())


def rms_level_db(audio: np.ndarray) -> float:
    """20 log10 of the RMS over all samples and channels, dBFS; -inf for silence."""
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return 10.0 * math.log10(power) if power > 0 else -math.inf


def peak_level_db(audio: np.ndarray) -> float:
    """20 log10 of the largest magnitude, dBFS; -inf for silence."""
    peak = float(np.max(np.abs(audio)))
    return 20.0 * math.log10(peak) if peak > 0 else -math.inf


def loudness(audio: np.ndarray, sample_rate: float, meter: str = "bs1770") -> float:
    """Integrated loudness in LUFS; -inf for silence and for less than one block of 400 ms."""
    if not has_loudness(audio.shape[1], sample_rate):
        return -math.inf
    return integrated_lufs(np.asarray(audio, np.float32), sample_rate, meter)


def _difference(a: float, b: float) -> float:
    return abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.nan
