"""Spectra in float64: the framing that the metrics and the rule-based baseline share."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.fft

from stylefx.errors import UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: power below which the magnitude is held (auraloss' ``eps``)
POWER_FLOOR = 1e-8


@lru_cache(maxsize=32)
def hann(size: int) -> np.ndarray:
    """The periodic Hann window, float64 (size,): scipy.signal's, whose import takes longer than all others of a build."""
    return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, size + 1)[:-1])


def power_frames(audio: np.ndarray, fft_size: int, hop: int, pad_mode: Literal["reflect", "constant"] = "reflect") -> np.ndarray:
    """Power spectra of centred frames: (channels, samples) -> float64 (channels, 1 + samples // hop, fft_size // 2 + 1).

    Frame n is centred on sample n * hop; the ends are padded by half a frame ("reflect" as torch.stft, "constant" = zeros as
    librosa). A signal shorter than the padding is reflected repeatedly.
    """
    audio = np.asarray(audio, np.float64)
    check_signal(audio)
    padded = np.pad(audio, ((0, 0), (fft_size // 2, fft_size // 2)), mode=pad_mode)
    return power_of(np.lib.stride_tricks.sliding_window_view(padded, fft_size, axis=1)[:, ::hop])


def check_signal(audio: np.ndarray) -> None:
    """UserError for what is not (channels, samples) with at least one sample."""
    if audio.ndim != 2 or audio.shape[1] == 0:
        raise UserError(f"audio must have the shape (channels, samples) with at least one sample, got {audio.shape}")


def power_of(frames: np.ndarray) -> np.ndarray:
    """Power spectra of frames under a Hann window: float64 (..., size) -> (..., size // 2 + 1)."""
    spectrum = scipy.fft.rfft(frames * hann(frames.shape[-1]), axis=-1, overwrite_x=True)
    squares = spectrum.view(np.float64)  # real and imaginary parts by turns
    np.square(squares, out=squares)
    return squares[..., ::2] + squares[..., 1::2]


def magnitude_frames(audio: np.ndarray, fft_size: int, hop: int) -> np.ndarray:
    """Magnitudes with the floor of auraloss, sqrt(max(power, 1e-8)); shape as ``power_frames``."""
    return np.sqrt(np.maximum(power_frames(audio, fft_size, hop), POWER_FLOOR))


def average_power(audio: np.ndarray, sample_rate: float, fft_size: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Average power spectral density over frames (hop a quarter) and channels.

    Returns frequencies in Hz and power per Hz, both float64 (fft_size // 2 + 1,).
    """
    power = power_frames(audio, fft_size, fft_size // 4).mean(axis=(0, 1))
    scale = 2.0 / (sample_rate * np.square(hann(fft_size)).sum())
    return np.fft.rfftfreq(fft_size, 1.0 / sample_rate), power * scale


def smooth_octaves(frequency_hz: np.ndarray, power: np.ndarray, octaves: float) -> np.ndarray:
    """Mean power in a band of ``octaves`` around each bin: (bins,) -> (bins,), by a running sum (bands clipped at the ends)."""
    total = np.concatenate([[0.0], np.cumsum(power)])
    step = frequency_hz[1] - frequency_hz[0]
    half = 2.0 ** (octaves / 2.0)
    low = np.floor(frequency_hz / half / step + 0.5).astype(int)
    high = np.minimum(np.ceil(frequency_hz * half / step - 0.5).astype(int) + 1, len(power))
    high = np.maximum(high, low + 1)
    return (total[high] - total[low]) / (high - low)


def mel_filters(sample_rate: float, fft_size: int, num_mels: int = 128) -> np.ndarray:
    """Triangular mel filters of equal area, float64 (num_mels, fft_size // 2 + 1), from 0 Hz to Nyquist.

    Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz at 3/200 mel per Hz, then 27 mel per factor 6.4.
    """
    linear_hz, step = 1000.0, np.log(6.4) / 27.0
    knee = linear_hz * 3.0 / 200.0
    nyquist = sample_rate / 2.0
    top = nyquist * 3.0 / 200.0 if nyquist < linear_hz else knee + np.log(nyquist / linear_hz) / step
    mel = np.linspace(0.0, top, num_mels + 2)
    edges = np.where(mel < knee, mel * 200.0 / 3.0, linear_hz * np.exp(step * (mel - knee)))
    frequency = np.fft.rfftfreq(fft_size, 1.0 / sample_rate)
    rising = (frequency[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency[None]) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]


@lru_cache(maxsize=8)
def sparse_mel_filters(sample_rate: float, fft_size: int, num_mels: int) -> csr_matrix:
    """``mel_filters`` without its zeros, which are 98 of 100."""
    from scipy import sparse

    return sparse.csr_matrix(mel_filters(sample_rate, fft_size, num_mels))
