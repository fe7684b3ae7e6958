"""Settings onto a recording of any length: blocks at the file's own rate and channels, in bounded memory.

The gain after the chain (loudness match, true-peak guard) is known only after the last block. So the first pass renders,
measures and writes at once, which is all where no gain is needed; else a second pass renders again with the gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylefx.audio.reading import BlockReader, open_blocks
from stylefx.audio.writing import AudioWriter
from stylefx.errors import UserError
from stylefx.inference.meter import Meter, Reading
from stylefx.inference.publish import as_sentence, check_writable
from stylefx.inference.settings_file import StyleSettings
from stylefx.inference.windows import check_channels

DEFAULT_CEILING_DBTP = -1.0
BITS = {"16": "pcm16", "24": "pcm24", "float": "float32"}
Progress = Callable[[int, int], None]

_FULL_SCALE_DBFS = -2e-3  # so that rounding to integers cannot reach it
_TOLERANCE_DB = 1e-3  # what is over by less is not touched: rendering with recorded gains must not add another


@dataclass(frozen=True)
class Loudness:
    """What the gain after the chain must reach. ``target_lufs`` None: as the chain leaves it; ``ceiling_dbtp`` None: no guard
    (fixed-point files are still kept below full scale)."""

    target_lufs: float | None = None
    ceiling_dbtp: float | None = DEFAULT_CEILING_DBTP


@dataclass(frozen=True)
class Rendered:
    """What was written. ``output`` is measured after all gains; the two gains are part of ``style.output_gain_db``."""

    style: StyleSettings
    frames: int
    sample_rate: int
    channels: int
    output: Reading
    loudness_gain_db: float
    guard_gain_db: float

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def stream(reader: BlockReader, style: StyleSettings) -> Iterator[np.ndarray]:
    """The rendered blocks of a recording, float32 (channels, n), look-ahead compensated: as many frames as the input has."""
    process = style.chain.start(style.settings, reader.sample_rate, reader.channels)
    gain = np.float32(10 ** (style.output_gain_db / 20))
    early = process.latency
    for block in reader:
        out = process(block)
        if early:
            early, out = early - min(early, out.shape[1]), out[:, early:]
        yield out if gain == 1 else out * gain
    if process.latency:
        tail = process(np.zeros((reader.channels, process.latency), np.float32))[:, early:]
        yield tail * gain


def render_file(
    source: str | Path,
    style: StyleSettings,
    output: str | Path,
    *,
    bits: str | None = None,
    loudness: Loudness | None = None,
    progress: Progress | None = None,
) -> Rendered:
    """Render ``source`` into ``output`` (.wav, .flac, .aiff), which appears whole or not at all.

    ``bits`` is "16", "24" or "float"; None: float for float sources written to WAV or AIFF, else 24. Returns the settings with
    the gains that were applied; rendering with them gives the same file. UserError for bad input, IncompleteError for a full
    disk.
    """
    output, loudness = Path(output), loudness or Loudness()
    with open_blocks(source) as reader:
        check_channels(reader.name, reader.channels)
        subtype = output_subtype(output, bits, reader.info.subtype)
    check_writable(output)
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise UserError(f"{output} is the input itself; choose another name for the output")
    optimistic, fixed_point = loudness.target_lufs is None, subtype != "float32"
    with _writer(output, reader.sample_rate, subtype) as writer:
        limit = _highest_peak(loudness, fixed_point)
        measured, frames = _pass(source, style, writer if optimistic else None, limit, progress)
        match, guard = _gains(measured, loudness, fixed_point)
        if optimistic and guard == 0.0:
            writer.commit()
    if not optimistic or guard != 0.0:
        style = style.with_gain(style.output_gain_db + match + guard)
        with _writer(output, reader.sample_rate, subtype) as writer:
            _pass(source, style, writer, None, progress)
            writer.commit()
    return Rendered(style, frames, reader.sample_rate, reader.channels, measured.raised(match + guard), match, guard)


def output_subtype(output: Path, bits: str | None, source_subtype: str = "") -> str:
    """The sample format of ``stylefx.audio.AudioWriter`` for an output."""
    flac = output.suffix.lower() == ".flac"
    if bits is None:
        bits = "float" if source_subtype in ("FLOAT", "DOUBLE") and not flac else "24"
    if flac and bits == "float":
        raise UserError(f"{output}: FLAC holds no floats; use --bits 24 or name the file .wav")
    return BITS[bits]


@contextmanager
def _writer(output: Path, sample_rate: int, subtype: str) -> Iterator[AudioWriter]:
    """An AudioWriter whose refusals are sentences and which leaves nothing behind unless committed."""
    try:
        with AudioWriter(output, sample_rate, subtype, over="error") as writer:
            yield writer
    except (OSError, RuntimeError) as error:
        raise as_sentence(error, output) from error


def _pass(
    source: str | Path, style: StyleSettings, writer: AudioWriter | None, limit: float | None, progress: Progress | None
) -> tuple[Reading, int]:
    """One run over the recording. With a ``limit`` the output is metered, and writing stops at the first sample beyond it,
    because a second pass is then sure."""
    frames = 0
    with open_blocks(source) as reader:
        meter = Meter(reader.sample_rate, reader.channels, loudness=limit is not None, true_peak=limit is not None)
        for block in stream(reader, style):
            if limit is not None:
                meter(block)
                if meter.peak > limit:
                    writer = None
            if writer is not None:
                writer.write(block)
            frames += block.shape[1]
            if progress:
                progress(block.shape[1], reader.info.frames)
    return meter.reading(), frames


def _highest_peak(loudness: Loudness, fixed_point: bool) -> float:
    """The largest sample (linear) that certainly needs no gain after it."""
    full_scale = _FULL_SCALE_DBFS if fixed_point else np.inf
    return 10 ** ((min(_ceiling(loudness), full_scale) + _TOLERANCE_DB) / 20)


def _ceiling(loudness: Loudness) -> float:
    return np.inf if loudness.ceiling_dbtp is None else loudness.ceiling_dbtp


def _gains(measured: Reading, loudness: Loudness, fixed_point: bool) -> tuple[float, float]:
    """Gains in dB: the loudness match, and what the true-peak guard (or full scale) takes off after it."""
    match = 0.0
    if loudness.target_lufs is not None and np.isfinite(measured.lufs):
        match = loudness.target_lufs - measured.lufs
    excess = measured.true_peak_dbtp + match - _ceiling(loudness)
    if fixed_point:
        excess = max(excess, measured.peak_dbfs + match - _FULL_SCALE_DBFS)
    return match, -excess if excess > _TOLERANCE_DB else 0.0
