"""Planning from end to end: catalog and manifest in, plan file out. The decisions are made in the modules it calls."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines import filters, split
from pipelines.manifest import Manifest
from pipelines.plan_catalog import ActivityTracks, Recordings, read_recordings
from pipelines.plan_energy import EnergyLine
from pipelines.plan_file import PlanWriter, plan_meta, plan_overview
from pipelines.plan_growth import check_growth, check_splits, splits_of
from pipelines.plan_order import Quota, Spill, check_room, quotas
from pipelines.plan_place import SEGMENT, TOO_SHORT, blocks_of_tapes, longest_read, place_segments
from pipelines.plan_rows import Rows
from pipelines.plan_summary import PlanSummary
from pipelines.plan_tapes import Tapes, corpus_frames, first_repeated, make_tapes
from pipelines.scan_catalog import catalog_meta, open_catalog, sources_digest
from pipelines.sources import source_root
from stylefx.corpus.schema import SPLITS
from stylefx.errors import UserError

_TABLE_ROWS = 1 << 15
_EXAMPLES = 3


@dataclass
class _Chosen:
    """Recordings that may give samples: their rows, and of every recording the split (by its group) and why it is out."""

    rows: np.ndarray
    group_split: np.ndarray
    rejected: Counter
    examples: dict[str, list[str]]


def make(
    manifest: Manifest,
    catalog_path: str | Path,
    plan_path: str | Path,
    generation: int,
    earlier: Sequence[tuple[str | Path, str | Path]],
) -> PlanSummary:
    """See ``pipelines.plan.make_plan``."""
    _ = manifest.resolved_chains  # refuses what cannot be rendered, before anything is planned
    _check_catalog(manifest, catalog_path)
    recordings = read_recordings(catalog_path, filters.needed_columns(manifest.filters))
    chosen = _chosen(manifest, recordings, earlier)
    plan_path = Path(plan_path)
    plan_path.parent.mkdir(parents=True, exist_ok=True)
    writer = PlanWriter(plan_path, manifest.shard.samples, _next_numbers([p for _, p in earlier]))
    try:
        with tempfile.TemporaryDirectory(dir=plan_path.parent, prefix=".plan-") as folder:
            summary = _plan_into(writer, manifest, catalog_path, recordings, chosen, folder)
        summary.generation = generation
        groups = {s: counts.get("groups", 0) for s, counts in summary.splits.items()}
        if generation == 0:
            split.check_filled(manifest, {s: c["samples"] for s, c in summary.splits.items()}, groups)
        elif not writer.shards:
            raise UserError("nothing new to plan: every recording is in an earlier generation or was left out")
        writer.publish(
            {
                "generation": generation,
                "manifest": manifest.to_dict(),
                "manifest_digest": manifest.digest(),
                "recipe_digest": manifest.recipe_digest(),
                "roots": {s.name: source_root(s) for s in manifest.sources},
                "summary": summary.to_dict(),
            }
        )
    except BaseException:
        writer.discard()
        raise
    return summary


def _chosen(manifest: Manifest, recordings: Recordings, earlier: Sequence[tuple[str | Path, str | Path]]) -> _Chosen:
    """``choose``, and for a growing corpus the proof that nothing moves."""
    if not earlier:
        split.check_pins(manifest.split, [n for n in recordings.group.names if n])
        return choose(manifest, recordings)
    old = [(Manifest.model_validate(plan_meta(plan)["manifest"]), read_recordings(catalog, [])) for catalog, plan in earlier]
    for was, _ in old:
        check_growth(was, manifest)
    chosen = choose(manifest, recordings, [r for _, r in old])
    for was, known in old:
        check_splits(was, known, recordings, chosen.group_split)
    return chosen


def _plan_into(
    writer: PlanWriter, manifest: Manifest, catalog_path: str | Path, recordings: Recordings, chosen: _Chosen, folder: str
) -> PlanSummary:
    """Place, order and write the rows."""
    tapes = tapes_of(manifest, recordings, chosen)
    check_room(folder, 2 * SEGMENT.itemsize * int(tapes.frames.sum()) // manifest.segment_frames)
    tracks = ActivityTracks(catalog_path, folder)
    tape_row = tapes.member_row[tapes.first[:-1]]
    tape_split = chosen.group_split[recordings.group.codes[tape_row]]
    tape_source = recordings.source.codes[tape_row]
    rejected = chosen.rejected
    available = np.zeros((len(SPLITS), max(1, len(recordings.source.names))), np.int64)
    spill = Spill(folder, int(tapes.frames.sum() / manifest.segment_frames / (1.0 - manifest.segment.overlap)))
    try:
        for a, b in blocks_of_tapes(tapes, tracks):
            line = EnergyLine(tapes, a, b, recordings, tracks, manifest.segment.sample_rate)
            segments, reasons = place_segments(manifest, tapes, a, b, tape_split, line)
            rejected.update(reasons)
            codes = tape_split[segments["tape"]]
            np.add.at(available, (codes, tape_source[segments["tape"]]), 1)
            spill.add(segments, codes)
        keep = quotas(available, _weights(manifest, recordings), manifest.selection, _seconds(manifest))
        rejected["not needed"] += int((available - keep).sum())
        rows = Rows(manifest, recordings, tapes)
        for code in range(len(SPLITS)):
            writer.write(_tables(rows, spill, code, tape_source, Quota(keep[code])), code)
    finally:
        spill.close()
    return _summary(manifest, recordings, chosen, keep, writer)


def _tables(rows: Rows, spill: Spill, code: int, tape_source: np.ndarray, quota: Quota) -> Iterator[pa.Table]:
    for bucket in spill.sorted(code):
        kept = bucket[quota.passes(tape_source[bucket["tape"]])]
        for start in range(0, len(kept), _TABLE_ROWS):
            yield rows.table(kept[start : start + _TABLE_ROWS], code)


def choose(manifest: Manifest, recordings: Recordings, earlier: Sequence[Recordings] = ()) -> _Chosen:
    """Leave out what cannot or must not be used, each for the first reason that holds."""
    known = [known_of(e) for e in earlier]
    rejected: Counter = Counter()
    examples: dict[str, list[str]] = {}
    keep = np.ones(len(recordings), bool)

    def drop(bad: np.ndarray, reason: str) -> None:
        rows = np.flatnonzero(keep & bad)
        rejected[reason] += len(rows)
        if len(rows):
            examples.setdefault(reason, []).extend(recordings.name(i) for i in rows[:_EXAMPLES])
        keep[bad] = False

    readable = np.array([name == "" for name in recordings.error.names], bool)
    drop(~readable[recordings.error.codes], filters.UNREADABLE)
    named = np.array([name != "" for name in recordings.group.names], bool)
    drop(~named[recordings.group.codes], filters.NO_GROUP)
    for identity, _ in known:
        drop(np.isin(recordings.identity, identity), filters.SAME_AS_EARLIER)
    columns = {**recordings.extra, "sample_rate": recordings.sample_rate}
    columns["duration_s"] = recordings.frames / np.maximum(recordings.sample_rate, 1)
    codes, reasons = filters.threshold_reasons(manifest.filters, columns)
    for i, reason in enumerate(reasons):
        drop(codes == i, reason)
    old = [content for _, content in known]
    drop(_repeats(recordings, keep, old), filters.DUPLICATE)
    drop(corpus_frames(recordings.frames, recordings.sample_rate, manifest.segment.sample_rate) < 1, TOO_SHORT)

    return _Chosen(np.flatnonzero(keep), splits_of(manifest, recordings, keep), rejected, examples)


def _repeats(recordings: Recordings, keep: np.ndarray, old: list[np.ndarray]) -> np.ndarray:
    """Recordings whose samples are those of another: of an earlier generation, or with a smaller identity in this one."""
    out = np.zeros(len(recordings), bool)
    rows = np.flatnonzero(keep)
    content = recordings.content[rows]
    if old:
        pairs = np.unique(np.concatenate(old), axis=0)
        both = np.concatenate([pairs, content])
        unique, inverse = np.unique(both, axis=0, return_inverse=True)
        seen = np.zeros(len(unique), bool)
        seen[inverse[: len(pairs)]] = True
        out[rows[seen[inverse[len(pairs) :]]]] = True
        rows = rows[~out[rows]]
    repeated = filters.drop_duplicates(recordings.content[rows], recordings.identity[rows], lambda i: recordings.name(rows[i]))
    out[rows[repeated]] = True
    return out


def tapes_of(manifest: Manifest, recordings: Recordings, chosen: _Chosen) -> Tapes:
    """Long recordings and joined clips. Clips are joined only where source, group, label, licence and attribution agree."""
    length = corpus_frames(recordings.frames, recordings.sample_rate, manifest.segment.sample_rate)
    if manifest.join.below_s is not None:
        below = np.full(len(recordings), round(manifest.join.below_s * manifest.segment.sample_rate), np.int64)
    else:
        below = longest_read(manifest)[chosen.group_split[recordings.group.codes]]
    stratum = np.zeros(len(recordings), np.int64)
    for column in (recordings.source, recordings.group, recordings.label, recordings.licence, recordings.attribution):
        stratum = stratum * max(1, len(column.names)) + column.codes
        if len(column.names) > 1:
            stratum = np.unique(stratum, return_inverse=True)[1]
    tapes = make_tapes(chosen.rows, recordings.identity, stratum, length, below, manifest.join.every)
    clash = first_repeated(tapes.hash)
    if clash is not None:
        name = recordings.name(tapes.member_row[tapes.first[clash]])
        raise UserError(f"the recording {name} shares its 64-bit hash with another; rename one of the two")
    return tapes


def known_of(earlier: Recordings) -> tuple[np.ndarray, np.ndarray]:
    """(identity, content) of the readable recordings of an earlier generation."""
    readable = np.array([n == "" for n in earlier.error.names], bool)[earlier.error.codes]
    return earlier.identity[readable], earlier.content[readable]


def _next_numbers(plans: Sequence[str | Path]) -> dict[str, int]:
    """The first free shard number of each split."""
    return dict(Counter(shard.split for path in plans for shard in plan_overview(path)))


def _check_catalog(manifest: Manifest, catalog_path: str | Path) -> None:
    if catalog_meta(open_catalog(catalog_path)).get("sources") != sources_digest(manifest):
        raise UserError(
            f"{catalog_path} was scanned with other sources or group rules than the manifest's; "
            "scan again (recordings that did not change are not decoded again)"
        )


def _weights(manifest: Manifest, recordings: Recordings) -> np.ndarray:
    weights = {s.name: s.weight for s in manifest.sources}
    return np.array([weights.get(name, 1.0) for name in recordings.source.names] or [1.0])


def _seconds(manifest: Manifest) -> float:
    return manifest.segment_frames / manifest.segment.sample_rate


def _summary(manifest: Manifest, recordings: Recordings, chosen: _Chosen, keep: np.ndarray, writer: PlanWriter) -> PlanSummary:
    seconds = _seconds(manifest)
    summary = PlanSummary(rejected={k: v for k, v in sorted(chosen.rejected.items()) if v}, examples=chosen.examples)
    codes = np.unique(recordings.group.codes[chosen.rows])
    for i, name in enumerate(SPLITS):
        samples = int(keep[i].sum())
        summary.splits[name] = {
            "samples": samples,
            "hours": samples * seconds / 3600,
            "shards": sum(1 for shard in writer.shards if shard[1] == name),
            "groups": int((chosen.group_split[codes] == i).sum()),
        }
    for i, name in enumerate(recordings.source.names):
        mine = chosen.rows[recordings.source.codes[chosen.rows] == i]
        hours = float((recordings.frames[mine] / np.maximum(recordings.sample_rate[mine], 1)).sum() / 3600)
        summary.sources[name] = {"recordings": len(mine), "hours": hours, "samples": int(keep[:, i].sum())}
    return summary
