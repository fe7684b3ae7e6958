"""The windows a model looks at: active stretches spread over a recording, mono at the model's rate, peak at -12 dBFS.

A model was trained on segments normalised to a peak of -12 dBFS, so each window is. The gain from the recording to that
level is kept: it moves the predicted thresholds back. It is taken from the loudest channel, because that is what a
compressor's side chain hears, while the encoder sees the mix of the channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylefx.audio.mixing import mix_down
from stylefx.audio.reading import open_blocks
from stylefx.audio.resampling import resample
from stylefx.errors import UserError

TARGET_PEAK_DBFS = -12.0
MIN_SECONDS = 0.5
_CANDIDATES_PER_WINDOW = 3
_ACTIVE_POWER = 1e-5  # mean power of an active half in training, relative to a full-scale recording
_ACTIVE_BELOW_LOUDEST_DB = 30.0
_SILENT_PEAK = 10 ** (-90 / 20)


@dataclass(frozen=True)
class Window:
    """``audio`` float32 (1, num_samples) at the model's rate; ``gain_db`` brought it to -12 dBFS, ``start_s`` is where it
    begins in the recording, ``power`` its mean power before the gain."""

    audio: np.ndarray
    start_s: float
    gain_db: float
    power: float


@dataclass(frozen=True)
class Analysis:
    """What was heard of one recording."""

    path: str
    sample_rate: int
    channels: int
    frames: int
    windows: tuple[Window, ...]

    @property
    def gain_db(self) -> float:
        """The gain that brings the recording to the level of the training data: the median over its windows."""
        return float(np.median([w.gain_db for w in self.windows]))

    def batch(self) -> np.ndarray:
        """All windows, float32 (windows, 1, num_samples); all are of one length."""
        return np.stack([w.audio for w in self.windows])


def check_channels(name: str, channels: int) -> None:
    if channels not in (1, 2):
        raise UserError(f"{name} has {channels} channels; stylefx takes mono and stereo, mix it down first")


def analyse(path: str | Path, model_rate: float, window_samples: int, max_windows: int = 8) -> Analysis:
    """Read up to ``max_windows`` active windows of ``window_samples`` at ``model_rate`` Hz, in bounded memory.

    Raises UserError for what cannot be decoded, more than two channels, less than 0.5 s and silence.
    """
    name = str(path)
    with open_blocks(path) as reader:
        check_channels(name, reader.channels)
        reader.check_length()
        rate, channels = reader.sample_rate, reader.channels
        span = math.ceil(window_samples * rate / model_rate)
        found, frames = [], 0
        for start in _starts(reader.info.frames, span, max_windows * _CANDIDATES_PER_WINDOW):
            reader.skip(start - reader.position)
            block = reader.read(span)
            if block.shape[1]:
                found.append((reader.position - block.shape[1], block.shape[1], *_measure(block), mix_down(block)))
            frames = max(frames, reader.position)
        frames = max(frames, reader.info.frames) if reader.info.exact else frames
    longest = max((n for _, n, *_ in found), default=0)
    if longest == 0:
        raise UserError(f"{name} holds no audio frames; give a file with audio")
    if longest < MIN_SECONDS * rate:
        raise UserError(f"{name} is {longest / rate:.2f} s long; at least {MIN_SECONDS} s are needed to hear a style")
    chosen = _choose([f for f in found if f[1] == longest], max_windows)
    if not chosen:
        raise UserError(f"{name} is silent; give a recording with sound")
    windows = tuple(
        _window(mono, start / rate, peak, power, rate, model_rate, window_samples) for start, _, peak, power, mono in chosen
    )
    return Analysis(name, rate, channels, frames, windows)


def _starts(frames: int, span: int, count: int) -> list[int]:
    """Where candidates begin: evenly spread, not overlapping where the recording is long enough. Frame numbers, ascending."""
    room = frames - span
    if room <= 0:
        return [0]
    count = max(2, min(count, frames // span)) if room >= span // 4 else 1
    return sorted({round(i * room / (count - 1)) for i in range(count)}) if count > 1 else [room // 2]


def _measure(block: np.ndarray) -> tuple[float, float]:
    """Peak over the channels and mean power of float32 (channels, n)."""
    return float(np.abs(block).max()), float(np.mean(np.square(block, dtype=np.float64)))


def _choose(found: list[tuple], max_windows: int) -> list[tuple]:
    """The active candidates, thinned out evenly; none when all is silent."""
    audible = [f for f in found if f[2] > _SILENT_PEAK]
    if not audible:
        return []
    loudest = max(f[3] for f in audible)
    # A quiet recording is active where it is loudest, whatever its level.
    floor = min(_ACTIVE_POWER, loudest * 10 ** (-_ACTIVE_BELOW_LOUDEST_DB / 10))
    active = [f for f in audible if f[3] >= floor]
    if len(active) <= max_windows:
        return active
    picks = np.linspace(0, len(active) - 1, max_windows).round().astype(int)
    return [active[i] for i in picks]


def _window(
    mono: np.ndarray, start_s: float, peak: float, power: float, rate: int, model_rate: float, window_samples: int
) -> Window:
    audio = resample(mono, rate, model_rate) if rate != model_rate else mono
    audio = audio[:, :window_samples]
    mono_peak = max(float(np.abs(audio).max(initial=0.0)), 1e-9)
    scaled = (audio * np.float32(10 ** (TARGET_PEAK_DBFS / 20) / mono_peak)).astype(np.float32)
    return Window(scaled, start_s, TARGET_PEAK_DBFS - 20 * math.log10(peak), power)
