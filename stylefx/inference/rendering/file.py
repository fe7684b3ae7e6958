"""Settings onto a recording of any length: blocks at the file's own rate and channels, in bounded memory.

The last stage (loudness, peaks) is known only after the last block of the chain. Where no loudness is asked, the first pass
renders, measures and writes at once, which is all where the peaks need nothing; else the chain's output waits in a spool, from
which the last stage is fitted and written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stylefx.audio.reading import BlockReader, open_blocks
from stylefx.audio.writing import AudioWriter
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.palette.limiter import Limiter
from stylefx.errors import UserError
from stylefx.files.atomic import check_free, check_writable
from stylefx.files.sentences import as_sentence
from stylefx.inference.choices import BITS
from stylefx.inference.hearing.windows import check_channels
from stylefx.inference.rendering.loudness import Loudness, LoudnessReport, report
from stylefx.inference.rendering.meter import Meter, MeterReading
from stylefx.inference.rendering.peaks import TOLERANCE_DB, Finish, aligned, excess_db, fit, limited
from stylefx.inference.rendering.spool import RenderedSpool
from stylefx.inference.settings_file import StyleSettings
from stylefx.inference.tags import carry_over

__all__ = ["Loudness", "OnFrames", "Rendered", "output_subtype", "render_file", "stream"]

OnFrames = Callable[[int, int], None]


@dataclass(frozen=True)
class Rendered:
    """What was written. ``style`` are the settings that render the same again; ``input_lufs`` and ``output`` are measured before
    the chain (NaN where nobody asked) and after all; ``loudness_gain_db`` is what the loudness added before the peaks were held,
    ``guard_gain_db`` what they took off the whole, ``limiter_db`` the most that the limiter takes (0 without one). ``damage``:
    what is wrong with the source, in words, or empty."""

    style: StyleSettings
    frames: int
    sample_rate: int
    channels: int
    input_lufs: float
    output: MeterReading
    loudness_gain_db: float
    guard_gain_db: float
    limiter_db: float
    loudness: LoudnessReport
    damage: str = ""

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def stream(reader: BlockReader, style: StyleSettings, listen: Callable[[np.ndarray], None] | None = None) -> Iterator[np.ndarray]:
    """The chain's output in blocks, float32 (channels, n), look-ahead compensated: as many frames as the input has. The output
    gain is not in it; ``listen`` gets the input's blocks."""
    blocks = iter(reader) if listen is None else _overheard(reader, listen)
    return aligned(style.chain.start(style.settings, reader.sample_rate, reader.channels), blocks, reader.channels)


def render_file(
    source: str | Path,
    style: StyleSettings,
    output: str | Path,
    *,
    bits: str | None = None,
    loudness: Loudness | None = None,
    progress: OnFrames | None = None,
    overwrite: bool = False,
    keep_tags: bool = True,
) -> Rendered:
    """Render ``source`` into ``output`` (.wav, .flac, .aiff), which appears whole or not at all.

    ``bits`` is "16", "24" or "float"; None: float for float sources written to WAV or AIFF, else 24. Returns the settings with
    the last stage that was applied; rendering with them gives the same file. Tags, covers and BWF chunks are kept. UserError for
    bad input and for an output that exists, IncompleteError for a full disk.
    """
    output, wanted = Path(output), loudness or Loudness()
    with open_blocks(source) as reader:
        check_channels(reader.name, reader.channels)
        subtype = output_subtype(output, bits, reader.info.subtype)
    check_writable(output)
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise UserError(f"{output} is the input itself; choose another name for the output")
    output = check_free(output, overwrite)
    job = _Job(source, style, output, subtype, reader.sample_rate, reader.channels, progress, keep_tags)
    if wanted.target_lufs is None:
        done = _at_once(job, wanted)
        if done is not None:
            return done
    return _in_two_steps(replace(job, style=without_limiter(style)), wanted)


@dataclass(frozen=True)
class _Job:
    source: str | Path
    style: StyleSettings
    output: Path
    subtype: str
    sample_rate: int
    channels: int
    progress: OnFrames | None
    keep_tags: bool
    damage: list[str] = field(default_factory=list)

    @property
    def fixed_point(self) -> bool:
        return self.subtype != "float32"

    def blocks(self, listen: Callable[[np.ndarray], None] | None = None) -> Iterator[np.ndarray]:
        """The chain's output, block by block."""
        with open_blocks(self.source) as reader:
            for block in stream(reader, self.style, listen):
                yield block
                if self.progress:
                    self.progress(block.shape[1], reader.info.frames)
            self.damage[:] = [reader.damage] if reader.damage else []


def _commit(writer: AudioWriter, job: _Job) -> None:
    def keep(finished: Path) -> None:
        carry_over(job.source, finished, job.output.suffix.lower())

    writer.commit(keep if job.keep_tags else None)


def _overheard(blocks: Iterable[np.ndarray], listen: Callable[[np.ndarray], None]) -> Iterator[np.ndarray]:
    for block in blocks:
        listen(block)
        yield block


def _at_once(job: _Job, wanted: Loudness) -> Rendered | None:
    """One pass that hopes for quiet peaks; it stops where they are not (None)."""
    gain_db, frames = job.style.output_gain_db, 0
    meter = Meter(job.sample_rate, job.channels)
    with _writer(job.output, job.sample_rate, job.subtype) as writer:
        for block in _raised(job.blocks(), gain_db):
            meter(block)
            if excess_db(meter.peaks(), wanted, job.fixed_point) > TOLERANCE_DB:
                return None
            writer.write(block)
            frames += block.shape[1]
        reading = meter.reading()
        if excess_db(reading, wanted, job.fixed_point) > TOLERANCE_DB:
            return None
        _commit(writer, job)
    return _rendered(job, wanted, Finish(gain_db, None, reading), gain_db, frames, float("nan"))


def _in_two_steps(job: _Job, wanted: Loudness) -> Rendered:
    before, after, frames = Meter(job.sample_rate, job.channels, true_peak=False), Meter(job.sample_rate, job.channels), 0
    with _sentences(job.output), RenderedSpool(job.output.parent, job.channels) as spool:
        for block in job.blocks(before):
            after(block)
            spool.write(block)
            frames += block.shape[1]
        measured, input_lufs, was = after.reading(), before.reading().lufs, job.style.output_gain_db
        finish = fit(spool, measured, was, input_lufs, wanted, job.fixed_point, job.sample_rate, job.channels)
        with _writer(job.output, job.sample_rate, job.subtype) as writer:
            blocks = limited(spool, finish.limiter, job.sample_rate, job.channels) if finish.limiter else spool
            for block in _raised(blocks, finish.gain_db):
                writer.write(block)
            _commit(writer, job)
    return _rendered(job, wanted, finish, was, frames, input_lufs)


def _raised(blocks: Iterable[np.ndarray], gain_db: float) -> Iterator[np.ndarray]:
    gain = np.float32(10 ** (gain_db / 20))
    return (block if gain == 1 else block * gain for block in blocks)


def _rendered(job: _Job, wanted: Loudness, finish: Finish, was_db: float, frames: int, input_lufs: float) -> Rendered:
    outcome = report(wanted, finish.reading.lufs, finish.held)
    style = job.style.with_gain(finish.gain_db)
    if finish.limiter is not None:
        style = with_limiter(style, finish.limiter)
    into_db = finish.gain_db - finish.guard_db if finish.limiter is None else finish.limiter["gain_db"]
    gains = (into_db - was_db, finish.guard_db, finish.reduction_db)
    return Rendered(
        style, frames, job.sample_rate, job.channels, input_lufs, finish.reading, *gains, outcome, "; ".join(job.damage)
    )


def with_limiter(style: StyleSettings, settings: dict[str, float]) -> StyleSettings:
    """The settings with a limiter as their last effect, marked as the one that the loudness brought."""
    effect = Limiter()
    chain = EffectChain((*style.chain.slots, Slot(effect)))
    entries = chain.complete([*style.settings, {"effect": effect.name, "settings": settings}])
    return StyleSettings(chain, entries, style.sample_rate, style.output_gain_db, {**style.about, "last_limiter": True})


def without_limiter(style: StyleSettings) -> StyleSettings:
    """The settings before ``with_limiter``: its gain is the output's."""
    if not style.about.get("last_limiter") or not style.chain.effects or style.chain.effects[-1].name != Limiter.name:
        return style
    about = {key: value for key, value in style.about.items() if key != "last_limiter"}
    gain_db = style.output_gain_db + style.settings[-1]["settings"]["gain_db"]
    return StyleSettings(EffectChain(style.chain.slots[:-1]), style.settings[:-1], style.sample_rate, gain_db, about)


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
    with _sentences(output), AudioWriter(output, sample_rate, subtype, over="error") as writer:
        yield writer


@contextmanager
def _sentences(output: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise as_sentence(error, output) from error
