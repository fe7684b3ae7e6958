"""The windows a model looks at: active stretches spread over a recording, mono at the model's rate and level.

A model was trained on segments of one level, a peak of -12 dBFS or a loudness, so each window is brought to it. The gain from
the recording to that level is kept: it moves the predicted thresholds back. It is taken from the loudest channel, because
that is what a compressor's side chain hears, while the encoder sees the mix of the channels; where that would cancel, their
difference. A constant offset is no sound and is taken off before anything is measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from stylefx.audio.levels import DEFAULT_LEVEL, LevelConvention
from stylefx.audio.mixing import channel_powers, heard_mono
from stylefx.audio.reading import open_blocks
from stylefx.audio.resampling import resample
from stylefx.errors import UserError

MIN_SECONDS = 0.5
_CANDIDATES_PER_WINDOW = 3
_ACTIVE_POWER = 1e-5  # mean power of an active half in training, relative to a full-scale recording
_ACTIVE_BELOW_LOUDEST_DB = 30.0
_SILENT_PEAK = 10 ** (-90 / 20)
_OFFSET = 0.05  # of the RMS: a mean from which on it is an offset, and not the chance of where a window begins


@dataclass(frozen=True)
class Window:
    """``audio`` float32 (1, num_samples) at the model's rate; ``gain_db`` brought it to the model's level, ``start_s`` is where
    it begins in the recording, ``power`` its mean power before the gain."""

    audio: np.ndarray
    start_s: float
    gain_db: float
    power: float


@dataclass(frozen=True)
class Analysis:
    """What was heard of one recording. ``offset`` is its constant part (linear, the largest of the channels, 0 without one),
    ``cancels`` says that the channels' sum does, ``damage`` what is wrong with the file."""

    path: str
    sample_rate: int
    channels: int
    frames: int
    windows: tuple[Window, ...]
    offset: float = 0.0
    cancels: bool = False
    damage: str = ""
    #: model -> what it made of the windows, (windows, D): one transfer asks three times, a folder once for every input
    embedded: WeakKeyDictionary[Any, Any] = field(default_factory=WeakKeyDictionary, repr=False, compare=False)

    def warnings(self) -> list[str]:
        """What the listener should know of the recording, one sentence each."""
        out = []
        if self.cancels:
            out.append(f"{self.path}: its channels cancel when summed (is one inverted?), so it was heard by their power")
        if self.offset:
            out.append(f"{self.path}: its constant offset of {20 * math.log10(self.offset):.0f} dBFS was not heard")
        if self.damage:
            out.append(f"{self.path}: it is damaged, and what can be decoded of it was heard: {self.damage}")
        return out

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


def analyse(
    path: str | Path,
    model_rate: float,
    window_samples: int,
    max_windows: int = 8,
    level: LevelConvention = DEFAULT_LEVEL,
) -> Analysis:
    """Read up to ``max_windows`` active windows of ``window_samples`` at ``model_rate`` Hz, in bounded memory.

    Raises UserError for what cannot be decoded, more than two channels, less than 0.5 s and silence.
    """
    name = str(path)
    with open_blocks(path) as reader:
        check_channels(name, reader.channels)
        rate, channels = reader.sample_rate, reader.channels
        span = math.ceil(window_samples * rate / model_rate)
        found, offsets, cancelled, frames = [], [], [], 0
        for start in _starts(reader.info.frames, span, max_windows * _CANDIDATES_PER_WINDOW):
            reader.skip(start - reader.position)
            block = reader.read(span)
            if block.shape[1]:
                block, offset, powers = _without_offset(block)
                mono, cancels = heard_mono(block, powers)
                offsets.append(offset)
                cancelled.append(cancels)
                measured = *_peak_and_power(block, powers), level.gain_db(block, rate)
                found.append((reader.position - block.shape[1], block.shape[1], *measured, mono))
            frames = max(frames, reader.position)
        frames, damage = max(frames, reader.info.frames) if reader.info.exact else frames, reader.damage
    longest = max((n for _, n, *_ in found), default=0)
    if longest == 0:
        raise UserError(f"{name} holds no audio frames; give a file with audio")
    if longest < MIN_SECONDS * rate:
        raise UserError(f"{name} is {longest / rate:.2f} s long; at least {MIN_SECONDS} s are needed to hear a style")
    chosen = _choose([f for f in found if f[1] == longest], max_windows)
    if not chosen:
        raise UserError(f"{name} is silent; give a recording with sound")
    windows = tuple(
        _window(mono, start / rate, gain_db, power, rate, model_rate, window_samples, level)
        for start, _, _, power, gain_db, mono in chosen
    )
    cancels = sum(cancelled) > len(cancelled) / 2
    return Analysis(name, rate, channels, frames, windows, float(np.median(offsets)), cancels, damage)


def _without_offset(block: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Float32 (channels, n) without its constant part, the largest that was taken off, 0 where there is none, and the power of
    each channel besides."""
    means, powers = block.mean(axis=1, dtype=np.float64, keepdims=True), channel_powers(block)
    offset = float(np.abs(means).max())
    if offset <= _OFFSET * math.sqrt(float(powers.mean() + means.var()) + offset**2):
        return block, 0.0, powers
    block = (block - means).astype(np.float32)
    return block, offset, channel_powers(block)


def _starts(frames: int, span: int, count: int) -> list[int]:
    """Where candidates begin: evenly spread, not overlapping where the recording is long enough. Frame numbers, ascending."""
    room = frames - span
    if room <= 0:
        return [0]
    count = max(2, min(count, frames // span)) if room >= span // 4 else 1
    return sorted({round(i * room / (count - 1)) for i in range(count)}) if count > 1 else [room // 2]


def _peak_and_power(block: np.ndarray, powers: np.ndarray) -> tuple[float, float]:
    """Over the channels: the largest absolute sample, and the mean power with what is constant."""
    means = block.mean(axis=1, dtype=np.float64)
    return max(float(block.max()), -float(block.min())), float(np.mean(powers + means * means))


def _choose(found: list[tuple[Any, ...]], max_windows: int) -> list[tuple[Any, ...]]:
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
    mono: np.ndarray,
    start_s: float,
    gain_db: float,
    power: float,
    rate: int,
    model_rate: float,
    window_samples: int,
    level: LevelConvention,
) -> Window:
    audio = resample(mono, rate, model_rate) if rate != model_rate else mono
    audio = audio[:, :window_samples]
    scaled = (audio * np.float32(10 ** (level.gain_db(audio, model_rate) / 20))).astype(np.float32)
    return Window(scaled, start_s, gain_db, power)
