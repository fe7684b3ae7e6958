"""An album: one setting and one gain for all its recordings, so that they keep their distances in tone and level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stylefx.audio.reading import open_blocks
from stylefx.errors import UserError
from stylefx.files.processes.pool import Report, in_processes
from stylefx.inference.folder.plan import FileJob, kept_bits
from stylefx.inference.folder.run import FolderWork, is_done, job_key
from stylefx.inference.folder.table import FolderRow, row_of
from stylefx.inference.hearing.windows import Analysis
from stylefx.inference.options import TransferOptions
from stylefx.inference.rendering.file import render_file, stream
from stylefx.inference.rendering.meter import Meter, MeterReading
from stylefx.inference.settings_file import StyleSettings, load_settings
from stylefx.inference.transfer import StyleTransfer, loudness_of, with_gains


def run_album(
    tool: StyleTransfer, jobs: Sequence[FileJob], work: FolderWork, processes: int = 1, report: Report = lambda done: None
) -> list[FolderRow]:
    """Every recording with the same settings and gain; outputs of an earlier run of the same album are kept. One recording that
    cannot be read ends the album: the rest would be another one."""
    sources, options = [job.source for job in jobs], work.options
    keys = [f"album {job_key(tool, sources, job, work)} {number}" for number, job in enumerate(jobs)]
    left = [(job, key) for job, key in zip(jobs, keys, strict=True) if not is_done(job, key)]
    if left:
        styles = [tool.reference(r, options.windows) for r in work.references]
        heard = [tool.hear(source, options.windows) for source in sources]
        style = tool.settings_for(together(heard), styles, options)
        at_rates = [replace(style, sample_rate=float(h.sample_rate)) for h in heard]
        gain_db = _gain_db(tool, jobs, heard, at_rates, work, processes)
        rates = {job.source: each for job, each in zip(jobs, at_rates, strict=True)}
        in_processes(_render, [(job, key, rates[job.source].with_gain(gain_db), work) for job, key in left], processes, report)
    done = {job.output for job, _ in left}
    return [
        row_of(
            str(job.source), str(job.output), "done" if job.output in done else "kept",
            load_settings(job.output.with_suffix(".json")).about,
        )
        for job in jobs
    ]  # fmt: skip


def _render(job: FileJob, key: str, style: StyleSettings, work: FolderWork) -> None:
    job.output.parent.mkdir(parents=True, exist_ok=True)
    rendered = render_file(
        job.source, style, job.output, bits=work.options.bits or kept_bits(job.source, job.output),
        loudness=work.options.last_stage(), overwrite=work.overwrite, keep_tags=work.keep_tags,
    )  # fmt: skip
    final = with_gains(rendered)
    replace(final, about={**final.about, "job": key}).save(job.output.with_suffix(".json"))


def together(heard: Sequence[Analysis]) -> Analysis:
    """The windows of all recordings as those of one; shorter ones than the rest's are left out."""
    longest = max(w.audio.shape[1] for h in heard for w in h.windows)
    windows = tuple(w for h in heard for w in h.windows if w.audio.shape[1] == longest)
    first, last = heard[0], heard[-1]
    frames = sum(h.frames for h in heard)
    return replace(
        first, path=f"{first.path} ... {last.path}", frames=frames, windows=windows, offset=max(h.offset for h in heard)
    )


def _gain_db(
    tool: StyleTransfer,
    jobs: Sequence[FileJob],
    heard: Sequence[Analysis],
    styles: Sequence[StyleSettings],
    work: FolderWork,
    processes: int,
) -> float:
    """One gain: to the loudness of the album, no further than the highest peak of all lets the limiter."""
    options = work.options
    readings = in_processes(_measure, [(job.source, style) for job, style in zip(jobs, styles, strict=True)], processes)
    seconds = [h.frames / h.sample_rate for h in heard]
    wanted = options.last_stage()
    before = [loudness_of(job.source) for job in jobs] if options.loudness == "input" else []
    target = _target(tool, work.references, options, mean_lufs(before, seconds))
    album = mean_lufs([r.lufs for r in readings], seconds)
    gain_db = 0.0 if target is None or not math.isfinite(album) else target - album
    taken = wanted.max_reduction_db if wanted.peaks == "limiter" else 0.0
    return min(gain_db, wanted.ceiling_db + taken - max(r.true_peak_dbtp for r in readings))


def _target(tool: StyleTransfer, references: Sequence[str], options: TransferOptions, before: float) -> float | None:
    if options.loudness == "as-is":
        return None
    if options.loudness == "input":
        return before
    if options.loudness == "reference":
        return tool.target_lufs(references, options.weights)
    return float(options.loudness)


def mean_lufs(lufs: Sequence[float], seconds: Sequence[float]) -> float:
    """Loudness of recordings one after the other, from theirs and their lengths."""
    pairs = [(value, s) for value, s in zip(lufs, seconds, strict=False) if math.isfinite(value)]
    if not pairs:
        return -math.inf
    return 10 * math.log10(sum(s * 10 ** (value / 10) for value, s in pairs) / sum(s for _, s in pairs))


def _measure(source: str | Path, style: StyleSettings) -> MeterReading:
    with open_blocks(source) as reader:
        meter = Meter(reader.sample_rate, reader.channels)
        for block in stream(reader, style):
            meter(block)
    reading = meter.reading()
    if reading.peak_dbfs == -math.inf:
        raise UserError(f"{source} is silent; an album takes recordings with sound")
    return reading
