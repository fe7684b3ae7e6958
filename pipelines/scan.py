"""Sources -> catalog: every recording is decoded once; what was found is one row of a parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.activity import RecordingMeter
from pipelines.manifest import Manifest
from pipelines.scan_catalog import CatalogWriter, PreviousRows, measured_row, sources_digest
from pipelines.scan_pool import WorkerPool
from pipelines.sources import Found, file_sha256, list_recordings, open_uri
from pipelines.storage import is_remote, patiently
from pipelines.workers import Crew
from stylefx.audio import open_blocks
from stylefx.errors import IncompleteError, UserError

_REPORT_EVERY = 64


@dataclass(frozen=True)
class ScanSummary:
    """``reused`` rows were taken from an earlier catalog; ``errors`` maps a reason to its count."""

    recordings: int
    reused: int
    hours: float
    errors: dict[str, int]


def scan(
    manifest: Manifest,
    catalog_path: str | Path,
    previous: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    skip: Callable[[Found], bool] | None = None,
    crew: Crew | None = None,
) -> ScanSummary:
    """Write the catalog (atomically).

    workers: processes, out of ``crew`` where one is given; default: one per core; 0: in this process. previous: an earlier
    catalog, whose rows are kept where a file's size and time did not change. progress(recordings so far, hours so far) is
    called now and then. ``skip`` says which recordings are left out (those of earlier generations).
    """
    old = PreviousRows(previous) if previous is not None and Path(previous).exists() else None
    writer = CatalogWriter(catalog_path, sources_digest(manifest))
    count, reused, hours, errors = 0, 0, 0.0, Counter()
    try:
        for row, was_reused in _rows(manifest, old, workers, skip, crew):
            writer.add(row)
            count, reused = count + 1, reused + was_reused
            hours += row["frames"] / row["sample_rate"] / 3600 if row["sample_rate"] else 0.0
            if row["error"]:
                errors[error_kind(row["error"])] += 1
            if progress is not None and count % _REPORT_EVERY == 0:
                progress(count, hours)
        if count == 0 and skip is None:
            where = ", ".join(s.path for s in manifest.sources)
            raise UserError(f"no recording in {where}; check the paths and the include and exclude globs")
        unreadable = sum(errors.values())
        if unreadable > manifest.limits.max_unreadable_share * count:
            raise IncompleteError(
                f"{unreadable} of {count} recordings cannot be read ({_counts(errors)}), more than limits.max_unreadable_share = "
                f"{manifest.limits.max_unreadable_share:g} allows; repair or exclude them, or raise the limit"
            )
        writer.publish()
    except BaseException:
        writer.discard()
        raise
    if progress is not None:
        progress(count, hours)
    return ScanSummary(count, reused, hours, dict(errors))


def _counts(errors: Counter) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in errors.most_common())


def error_kind(error: str) -> str:
    """The reason without what differs from file to file: ``unreadable: ...`` -> ``unreadable``."""
    return error.split(":", 1)[0]


def _rows(
    manifest: Manifest,
    old: PreviousRows | None,
    workers: int | None,
    skip: Callable[[Found], bool] | None,
    crew: Crew | None,
) -> Iterator[tuple[dict, bool]]:
    """Catalog rows in the order of the listing, and whether each was taken over."""
    limit_s = manifest.limits.recording_hours * 3600

    def tasks() -> Iterator[tuple[Found, dict | None]]:
        for found in list_recordings(manifest.sources, manifest.limits):
            if skip is None or not skip(found):
                yield found, None if old is None else old.find(found)

    with WorkerPool(measure_recording, workers, manifest.limits.scan_seconds, crew) as pool:
        for found, known, row in pool.map_ordered(tasks(), lambda task: None if task[1] else (task[0], limit_s)):
            if known is not None:
                fresh = {k: getattr(found, k) for k in ("group", "label", "licence", "attribution")}
                yield known | fresh, True
            elif isinstance(row, str):
                yield measured_row(found, "", None, row), False
            else:
                yield row, False


def measure_recording(task: tuple[Found, float]) -> dict:
    """Decode one recording and measure it; what cannot be read becomes a row with the reason."""
    found, limit_s = task
    if found.problem:
        return measured_row(found, "", None, f"missing: {found.problem}")
    if found.size == 0:
        return measured_row(found, "", None, "empty: the file has no bytes")
    try:
        if is_remote(found.uri):  # a server that is away is no property of the recording
            return patiently("the source", f"give {found.path}", lambda: _measured(found, limit_s))
        return _measured(found, limit_s)
    except FileNotFoundError:
        return measured_row(found, "", None, "missing: no such file")
    except UserError as error:
        return measured_row(found, "", None, f"unreadable: {error}")
    except (OSError, MemoryError, ValueError, EOFError) as error:
        return measured_row(found, "", None, f"unreadable: {type(error).__name__}: {error}")


def _measured(found: Found, limit_s: float) -> dict:
    with open_uri(found.uri) as source, open_blocks(source, name=found.path) as reader:
        meter = RecordingMeter(reader.sample_rate, reader.channels)
        for block in reader:
            meter.add(block)
            if meter.frames > limit_s * reader.sample_rate:
                return measured_row(found, "", None, f"too long: more than {limit_s / 3600:g} h; raise limits.recording_hours")
    return measured_row(found, file_sha256(found.uri), meter.measures())
