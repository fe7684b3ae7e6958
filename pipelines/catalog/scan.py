"""Sources -> catalog: every recording is decoded once; what was found is one row of a parquet file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.catalog.file import CatalogWriter, PreviousRows, measured_row, metadata_text, sources_digest
from pipelines.catalog.measure import Measures, RecordingMeter
from pipelines.catalog.near import Fingerprints
from pipelines.catalog.parts import ScanBatch, ScanParts, batches
from pipelines.catalog.tally import ScanSummary, ScanTally
from pipelines.manifest.model import Manifest
from pipelines.sources.leftout import LeftOut
from pipelines.sources.listing import Found, file_sha256, list_recordings, open_uri
from pipelines.sources.uris import split_stretch
from pipelines.workers.crew import Crew
from pipelines.workers.pool import WorkerPool
from stylefx.audio import BlockReader, open_blocks
from stylefx.errors import UserError
from stylefx.files.address import is_remote
from stylefx.files.patience import with_patience

if TYPE_CHECKING:
    import numpy as np

_REPORT_EVERY = 64
_APART_S = 0.5  # a recording before and after somebody's work may differ in length by a tail


def scan(
    manifest: Manifest,
    catalog_path: str | Path,
    previous: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    skip: Callable[[Found], bool] | None = None,
    crew: Crew | None = None,
    parts: ScanParts | None = None,
) -> ScanSummary:
    """Write the catalog (atomically).

    workers: processes, out of ``crew`` where one is given; default: one per core; 0: in this process. previous: an earlier
    catalog, whose rows are kept where a file's size and time did not change. progress(recordings so far, hours so far) is
    called now and then. ``skip`` says which recordings are left out (those of earlier generations). ``parts``: what shares or
    nodes have measured already; the rest is measured here.
    """
    old = PreviousRows(previous) if previous is not None and Path(previous).exists() else None
    writer = CatalogWriter(catalog_path, sources_digest(manifest))
    listed, tally, prints = LeftOut(), ScanTally(), Fingerprints()
    try:
        for row, was_reused in _rows(manifest, old, workers, skip, crew, parts, listed):
            writer.add(row)
            prints.add(f"{row['source']}/{row['path']}", row["fingerprint"])
            tally.add(row, was_reused)
            if progress is not None and tally.count % _REPORT_EVERY == 0:
                progress(tally.count, tally.hours)
        notes = list(listed.lines())
        if tally.count == 0 and skip is None:
            where = ", ".join(s.path for s in manifest.sources)
            told = "".join(f"; {note}" for note in notes)
            raise UserError(f"no recording in {where}; check the paths and the include and exclude globs{told}")
        tally.check(manifest.limits.max_unreadable_share)
        near = prints.clusters()
        writer.publish(near)
    except BaseException:
        writer.discard()
        raise
    if progress is not None:
        progress(tally.count, tally.hours)
    return tally.summary(notes, (len(near), len(set(near.values()))))


def _rows(
    manifest: Manifest,
    old: PreviousRows | None,
    workers: int | None,
    skip: Callable[[Found], bool] | None,
    crew: Crew | None,
    parts: ScanParts | None,
    listed: LeftOut,
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Catalog rows in the order of the listing, and whether each was taken over."""
    how = Measuring(manifest.limits.recording_hours * 3600, manifest.near_duplicates != "ignore")

    def tasks() -> Iterator[tuple[Found, dict[str, Any] | None, dict[str, Any] | None]]:
        listing = (f for f in list_recordings(manifest.sources, manifest.limits, listed) if skip is None or not skip(f))
        for found, measured in with_parts(listing, parts, how.fingerprint):
            yield found, None if old is None else old.find(found, how.fingerprint), measured

    def work(task: tuple[Any, ...]) -> tuple[Found, Measuring] | None:
        return (task[0], how) if task[1] is None and task[2] is None else None

    with WorkerPool(measure_recording, workers, manifest.limits.scan_seconds, crew) as pool:
        for found, known, measured, row in pool.map_ordered(tasks(), work):
            if known is not None or measured is not None:
                fresh = {k: getattr(found, k) for k in ("group", "label", "licence", "attribution", "target")}
                kept = (known or measured) if how.fingerprint else (known or measured) | {"fingerprint": b""}
                yield kept | fresh | {"metadata": metadata_text(found), "near": ""}, known is not None
            elif isinstance(row, str):
                yield measured_row(found, "", None, row), False
            else:
                yield row, False


def with_parts(
    listing: Iterable[Found], parts: ScanParts | None, fingerprinted: bool
) -> Iterator[tuple[Found, dict[str, Any] | None]]:
    """Each recording with its row out of the parts, where it has one; ``fingerprinted``: only one with a fingerprint."""
    if parts is None or not parts.names:
        yield from ((found, None) for found in listing)
        return
    for batch in batches(listing):
        rows: Sequence[dict[str, Any] | None] | None = parts.read(batch) if parts.has(batch) else None
        for found, row in zip(batch.found, rows or [None] * len(batch.found), strict=True):
            bare = row is not None and fingerprinted and row["frames"] and not row["fingerprint"]
            yield found, None if bare else row


def scan_share(
    manifest: Manifest,
    parts: ScanParts,
    share: tuple[int, int],
    previous: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    crew: Crew | None = None,
) -> ScanSummary:
    """Measure one share's batches, those that no part has yet; each is published when it is done."""
    old = PreviousRows(previous) if previous is not None and Path(previous).exists() else None
    how = Measuring(manifest.limits.recording_hours * 3600, manifest.near_duplicates != "ignore")
    listed, tally = LeftOut(), ScanTally()
    mine = (batch for batch in batches(list_recordings(manifest.sources, manifest.limits, listed)) if batch.is_of(share))

    def tasks() -> Iterator[tuple[ScanBatch, int, dict[str, Any] | None]]:
        for batch in mine:
            if not parts.has(batch):
                known = (None if old is None else old.find(found, how.fingerprint) for found in batch.found)
                yield from ((batch, i, row) for i, row in enumerate(known))

    with WorkerPool(measure_recording, workers, manifest.limits.scan_seconds, crew) as pool:
        rows: list[dict[str, Any]] = []
        for batch, i, known, row in pool.map_ordered(tasks(), lambda t: None if t[2] else (t[0].found[t[1]], how)):
            one = known or (measured_row(batch.found[i], "", None, row) if isinstance(row, str) else row)
            rows.append(one)
            tally.add(one, known is not None)
            if i + 1 == len(batch.found):
                parts.write(batch, rows)
                rows = []
                if progress is not None:
                    progress(tally.count, tally.hours)
    return tally.summary(list(listed.lines()))


@dataclass(frozen=True)
class Measuring:
    """``limit_s``: longer recordings are refused; ``fingerprint``: whether one is taken."""

    limit_s: float
    fingerprint: bool = False


def measure_recording(task: tuple[Found, Measuring]) -> dict[str, Any]:
    """Decode one recording and measure it; what cannot be read becomes a row with the reason."""
    found, how = task
    if found.problem:
        known = found.problem.startswith("unreadable: ")
        return measured_row(found, "", None, found.problem if known else f"missing: {found.problem}")
    if found.size == 0:
        return measured_row(found, "", None, "empty: the file has no bytes")
    try:
        if is_remote(found.uri):  # a server that is away is no property of the recording
            return with_patience("the source", f"give {found.path}", lambda: _measured(found, how))
        return _measured(found, how)
    except FileNotFoundError:
        return measured_row(found, "", None, "missing: no such file")
    except UserError as error:
        return measured_row(found, "", None, f"unreadable: {error}")
    except (OSError, MemoryError, ValueError, EOFError) as error:
        return measured_row(found, "", None, f"unreadable: {type(error).__name__}: {error}")


def _measured(found: Found, how: Measuring) -> dict[str, Any]:
    _, start_s, end_s = split_stretch(found.uri)
    with open_uri(found.uri) as source, open_blocks(source, name=found.path) as reader:
        meter = RecordingMeter(reader.sample_rate, reader.channels, how.fingerprint)
        reader.skip(round(start_s * reader.sample_rate))
        for block in stretch_of(reader, end_s):
            meter.add(block)
            if meter.frames > how.limit_s * reader.sample_rate:
                limit = f"more than {how.limit_s / 3600:g} h; raise limits.recording_hours"
                return measured_row(found, "", None, f"too long: {limit}")
        if not meter.frames:
            raise UserError(f"{found.path} holds no audio frames; give a file with audio")
        damage = f"{reader.damage}; {meter.frames} frames are kept" if reader.damage else ""
    measures = meter.measures()
    target = ""
    if found.target:
        measures = _paired(found, measures, round(start_s * meter.sample_rate))
        target = file_sha256(found.target_uri)
    return measured_row(found, file_sha256(found.uri), measures, damage=damage, target_sha256=target)


def stretch_of(reader: BlockReader, end_s: float | None) -> Iterator[np.ndarray]:
    """The blocks that follow, up to a time in the file."""
    end = None if end_s is None else round(end_s * reader.sample_rate)
    while end is None or reader.position < end:
        block = reader.read(reader.block_frames if end is None else min(reader.block_frames, end - reader.position))
        if not block.shape[1]:
            return
        yield block


def _paired(found: Found, measures: Measures, start: int) -> Measures:
    """The measures as far as the recording after somebody's work goes too; UserError where the two do not lie together."""
    rate, frames = measures.sample_rate, measures.frames
    with open_uri(found.target_uri) as source, open_blocks(source, name=found.target) as reader:
        if reader.sample_rate != rate:
            raise UserError(f"its target {found.target} has {reader.sample_rate} Hz where it has {rate}; bring both to one rate")
        there = reader.info.frames
        if not reader.info.exact:
            reader.skip(1 << 60)
            there = reader.position
    there -= start
    if abs(there - frames) > _APART_S * rate:
        raise UserError(
            f"its target {found.target} has {there / rate:.2f} s where it has {frames / rate:.2f} s; "
            "align the two and cut them alike"
        )
    frames = min(frames, there)
    return replace(measures, frames=frames, activity=measures.activity[: -(-frames // measures.window_frames)])
