"""Planning from end to end: catalog and manifest in, plan file out. The decisions are made in the modules it calls."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from pipelines.catalog import filters
from pipelines.catalog.file import catalog_meta, open_catalog, sources_digest
from pipelines.catalog.recordings import ActivityTracks, Recordings, read_recordings
from pipelines.manifest.model import Manifest
from pipelines.plan.choice import split
from pipelines.plan.choice.choose import Chosen, Past, choose
from pipelines.plan.choice.growth import check_growth, check_splits, earlier_splits
from pipelines.plan.energy import EnergyLine
from pipelines.plan.file import PlanWriter, plan_meta, plan_overview
from pipelines.plan.order import Quota, Spill, check_room, quotas
from pipelines.plan.partners import OWN, draw_partners
from pipelines.plan.place import SEGMENT, blocks_of_tapes, longest_read, place_segments
from pipelines.plan.rows import Rows, plan_schema
from pipelines.plan.summary import PlanSummary
from pipelines.plan.tapes import Tapes, corpus_frames, first_repeated, make_tapes
from pipelines.sources.listing import source_root
from stylefx.corpus.schema import SPLITS
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

_TABLE_ROWS = 1 << 15


def make(
    manifest: Manifest,
    catalog_path: str | Path,
    plan_path: str | Path,
    generation: int,
    earlier: Sequence[tuple[str | Path, str | Path]],
) -> PlanSummary:
    """See ``pipelines.plan.make.make_plan``."""
    _ = manifest.resolved_chains  # refuses what cannot be rendered, before anything is planned
    _check_catalog(manifest, catalog_path)
    recordings = read_recordings(catalog_path, filters.needed_columns(manifest.filters))
    _check_pairs(manifest, recordings)
    chosen = _chosen(manifest, recordings, catalog_path, earlier)
    plan_path = Path(plan_path)
    plan_path.parent.mkdir(parents=True, exist_ok=True)
    numbers = _next_numbers([p for _, p in earlier])
    writer = PlanWriter(plan_path, manifest.shard.samples, numbers, plan_schema(manifest, recordings))
    try:
        writer.spill.mkdir()
        summary = _plan_into(writer, manifest, catalog_path, recordings, chosen, str(writer.spill))
        summary.generation = generation
        groups = {s: counts.get("groups", 0) for s, counts in summary.splits.items()}
        if generation == 0:
            samples = {s: c["samples"] for s, c in summary.splits.items()}
            split.check_filled(manifest, samples, groups, summary.no_group())
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


def _chosen(
    manifest: Manifest,
    recordings: Recordings,
    catalog_path: str | Path,
    earlier: Sequence[tuple[str | Path, str | Path]],
) -> Chosen:
    """``choose``, and for a growing corpus the proof that nothing moves."""
    if not earlier:
        split.check_pins(manifest.split, [n for n in recordings.group.names if n])
        return choose(manifest, recordings)
    old, past = list[tuple[Manifest, Recordings]](), Past()
    for catalog, plan in earlier:
        was = Manifest.model_validate(plan_meta(plan)["manifest"])
        check_growth(was, manifest)
        known = read_recordings(catalog, filters.needed_columns(was.filters))
        past.add(known, choose(was, known, past, catalog).rows, catalog, manifest.near_duplicates != "ignore")
        old.append((was, known))
        past.splits = earlier_splits(old)
    chosen = choose(manifest, recordings, past, catalog_path)
    check_splits(past.splits, recordings, chosen.group_split)
    return chosen


def _plan_into(
    writer: PlanWriter, manifest: Manifest, catalog_path: str | Path, recordings: Recordings, chosen: Chosen, folder: str
) -> PlanSummary:
    """Place, order and write the rows."""
    tapes = tapes_of(manifest, recordings, chosen)
    check_room(folder, 2 * SEGMENT.itemsize * int(tapes.frames.sum()) // manifest.segment_frames)
    tracks = ActivityTracks(catalog_path, folder)
    tape_row = tapes.member_row[tapes.first[:-1]]
    tape_split = chosen.group_split[recordings.group.codes[tape_row]]
    tape_source = recordings.source.codes[tape_row]
    balanced, values = _balance(manifest, recordings)
    tape_value = balanced[tape_row]
    rejected = chosen.rejected
    available = np.zeros((len(SPLITS), max(1, len(values))), np.int64)
    per_source = np.zeros((len(SPLITS), max(1, len(recordings.source.names))), np.int64)
    spill = Spill(folder, int(tapes.frames.sum() / manifest.segment_frames / (1.0 - manifest.segment.overlap)))
    try:
        for a, b in blocks_of_tapes(tapes, tracks):
            line = EnergyLine(tapes, a, b, recordings, tracks, manifest.segment.sample_rate)
            segments, reasons = place_segments(manifest, tapes, a, b, tape_split, line)
            rejected.update(reasons)
            codes = tape_split[segments["tape"]]
            np.add.at(available, (codes, tape_value[segments["tape"]]), 1)
            spill.add(segments, codes)
        keep = quotas(available, _weights(manifest, recordings), manifest.selection, _seconds(manifest))
        rejected["not needed"] += int((available - keep).sum())
        rows = Rows(manifest, recordings, tapes)
        for code in range(len(SPLITS)):
            counted = functools.partial(_count, per_source[code], tape_source)
            writer.write(_tables(rows, spill, code, tape_value, Quota(keep[code]), counted), code)
    finally:
        spill.close()
    return _summary(manifest, recordings, chosen, per_source, writer)


def _count(counts: np.ndarray, tape_source: np.ndarray, kept: np.ndarray) -> np.ndarray:
    np.add.at(counts, tape_source[kept["tape"]], 1)
    return kept


def _tables(
    rows: Rows,
    spill: Spill,
    code: int,
    tape_value: np.ndarray,
    quota: Quota,
    counted: Callable[[np.ndarray], np.ndarray],
) -> Iterator[pa.Table]:
    buckets = (counted(bucket[quota.passes(tape_value[bucket["tape"]])]) for bucket in spill.sorted(code))
    if rows.manifest.reference.stored:
        yield from _tables_with_references(rows, np.concatenate([*buckets, np.empty(0, SEGMENT)]), code)
        return
    for kept in buckets:
        for start in range(0, len(kept), _TABLE_ROWS):
            yield rows.table(kept[start : start + _TABLE_ROWS], code)


def _tables_with_references(rows: Rows, kept: np.ndarray, code: int) -> Iterator[pa.Table]:
    kind, kinds, group, groups = rows.kinds(kept)
    partner, half = draw_partners(rows.manifest, kept["order"], kind, group, SPLITS[code], kinds, groups)
    for start in range(0, len(kept), _TABLE_ROWS):
        mine, halves = partner[start : start + _TABLE_ROWS], half[start : start + _TABLE_ROWS]
        lent = mine != OWN
        yield rows.table(kept[start : start + _TABLE_ROWS], code, (lent.sum(axis=1), kept[mine[lent]], halves[lent]))


def tapes_of(manifest: Manifest, recordings: Recordings, chosen: Chosen) -> Tapes:
    """Long recordings and joined clips. Clips are joined only where source, group, label, licence and attribution agree."""
    length = corpus_frames(recordings.frames, recordings.sample_rate, manifest.segment.sample_rate)
    if manifest.join.below_s is not None:
        below = np.full(len(recordings), round(manifest.join.below_s * manifest.segment.sample_rate), np.int64)
    else:
        below = longest_read(manifest)[chosen.group_split[recordings.group.codes]]
    stratum = np.zeros(len(recordings), np.int64)
    if recordings.with_targets():  # what is rendered and what people made never share a sample
        stratum = pc.not_equal(recordings.target, "").to_numpy(zero_copy_only=False).astype(np.int64)
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


def _next_numbers(plans: Sequence[str | Path]) -> dict[str, int]:
    """The first free shard number of each split."""
    return dict(Counter(shard.split for path in plans for shard in plan_overview(path)))


def _check_catalog(manifest: Manifest, catalog_path: str | Path) -> None:
    if catalog_meta(open_catalog(catalog_path)).get("sources") != sources_digest(manifest):
        raise UserError(
            f"{catalog_path} was scanned with other sources or group rules than the manifest's; "
            "scan again (recordings that did not change are not decoded again)"
        )


def _check_pairs(manifest: Manifest, recordings: Recordings) -> None:
    """Real pairs know no settings that could be given to other content, and no half without them."""
    if recordings.with_targets() and (manifest.reference.stored or manifest.store != "pair"):
        asked = f"store: {manifest.store}" if manifest.store != "pair" else "references of other content"
        raise UserError(
            f"the sources hold pairs that people made, which cannot have {asked}; write store: pair "
            "and reference: {from: same}, or build them into a corpus of their own"
        )


def _balance(manifest: Manifest, recordings: Recordings) -> tuple[np.ndarray, list[str]]:
    """(code of the value that a recording is balanced by (n,), the values): sources unless the manifest names a column."""
    balance = manifest.selection.balance
    if isinstance(balance, str):
        return recordings.source.codes, recordings.source.names
    if balance.by in ("source", "group", "label", "licence"):
        column = getattr(recordings, balance.by)
        return column.codes, column.names
    values = [json.loads(text or "{}").get(balance.by, "") for text in recordings.metadata.names]
    if not any(values):
        fields = sorted({key for text in recordings.metadata.names for key in json.loads(text or "{}")})
        hint = did_you_mean(balance.by, fields, f"its fields are {', '.join(fields) or 'none'}")
        raise UserError(f"selection.balance.by is {balance.by!r}, which no recording has{hint}")
    names = sorted(set(values))
    return np.array([names.index(v) for v in values], np.int64)[recordings.metadata.codes], names


def _weights(manifest: Manifest, recordings: Recordings) -> np.ndarray:
    if not isinstance(manifest.selection.balance, str):
        return np.ones(max(1, len(_balance(manifest, recordings)[1])))
    weights = {s.name: s.weight for s in manifest.sources}
    return np.array([weights.get(name, 1.0) for name in recordings.source.names] or [1.0])


def _seconds(manifest: Manifest) -> float:
    return manifest.segment_frames / manifest.segment.sample_rate


def _summary(manifest: Manifest, recordings: Recordings, chosen: Chosen, keep: np.ndarray, writer: PlanWriter) -> PlanSummary:
    seconds, draws = _seconds(manifest), manifest.segment.draws_per_tape
    summary = PlanSummary(rejected={k: v for k, v in sorted(chosen.rejected.items()) if v}, examples=chosen.examples)
    codes = np.unique(recordings.group.codes[chosen.rows])
    for i, name in enumerate(SPLITS):
        samples = draws * int(keep[i].sum())
        summary.splits[name] = {
            "samples": samples,
            "hours": samples * seconds / 3600,
            "shards": sum(1 for shard in writer.shards if shard[1] == name),
            "groups": int((chosen.group_split[codes] == i).sum()),
        }
    for i, name in enumerate(recordings.source.names):
        mine = chosen.rows[recordings.source.codes[chosen.rows] == i]
        hours = float((recordings.frames[mine] / np.maximum(recordings.sample_rate[mine], 1)).sum() / 3600)
        summary.sources[name] = {"recordings": len(mine), "hours": hours, "samples": draws * int(keep[:, i].sum())}
    return summary


def make_plan(
    manifest: Manifest,
    catalog_path: str | Path,
    plan_path: str | Path,
    generation: int = 0,
    earlier: Sequence[tuple[str | Path, str | Path]] = (),
) -> PlanSummary:
    """Catalog + manifest -> plan file (atomically). ``earlier`` are the (catalog, plan) files of the generations before;
    shards are numbered on from theirs. ``PlanSummary.text()`` is what the commands print; ``.to_dict()`` is JSON."""

    return make(manifest, catalog_path, plan_path, generation, earlier)
