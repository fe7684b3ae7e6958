"""Signals with known properties, and files made of them by other programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np


def speech_like(num_frames: int, sample_rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Gliding harmonics in bursts with noise between, float32 (channels, num_frames), peak about 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(num_frames) / sample_rate
    out = np.zeros((channels, num_frames))
    for channel in range(channels):
        pitch_hz = 120 * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * t + channel))
        phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate
        voice = sum(np.sin(k * phase) / k for k in range(1, 12))
        envelope = np.clip(np.sin(2 * np.pi * 1.9 * t + rng.uniform(0, 6)), 0, 1)
        out[channel] = voice * envelope + 0.02 * rng.normal(size=num_frames)
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


def sine(frequency_hz: float, num_frames: int, sample_rate: float, amplitude: float = 0.5, phase: float = 0.0) -> np.ndarray:
    t = np.arange(num_frames) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t + phase)).astype(np.float32)[None]


def measure_frequency_hz(samples: np.ndarray, sample_rate: float) -> float:
    """Frequency of the strongest sine by parabolic interpolation of a long Hann-windowed log spectrum."""
    size = 1 << (int(np.ceil(np.log2(len(samples)))) + 3)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    k = int(spectrum.argmax())
    a, b, c = np.log(spectrum[k - 1 : k + 2])
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * sample_rate / size


def cents(frequency_hz: float, reference_hz: float) -> float:
    return 1200 * np.log2(frequency_hz / reference_hz)


def ffmpeg_decode(ffmpeg: str, path: Path, channels: int, *before: str) -> np.ndarray:
    """Samples as ffmpeg decodes them, float32 (channels, n)."""
    command = [ffmpeg, "-nostdin", "-v", "error", *before, "-i", str(path), "-f", "f32le", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, "<f4").reshape(-1, channels).T


def ffmpeg_encode(ffmpeg: str, source: Path, target: Path, *options: str) -> None:
    command = [ffmpeg, "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, capture_output=True, check=True)
