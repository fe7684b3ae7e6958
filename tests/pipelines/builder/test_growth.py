"""A corpus grows by generations: what was planned stays, what is added is new, and no group changes its split."""

from __future__ import annotations

import pytest

from pipelines.plan.file import plan_overview
from pipelines.plan.make import make_plan
from stylefx.errors import UserError
from tests.support.planning import collection, manifest, plan, recording, samples_of, write_catalog

SPLIT = {"fractions": {"train": 0.6, "val": 0.2, "test": 0.2}}
OLD = collection(80, (0.5, 9.0), groups=12)
NEW = [*collection(60, (0.5, 9.0), groups=16, seed=9, prefix="new"), recording("new/copy.wav", 5.0, content="s/f/00001.wav")]


def grow(tmp_path, old_manifest, new_manifest, recordings):
    """(summary, samples of the second generation, files of the first, file of the second)."""
    folder = tmp_path / "grown"
    _, _, first = plan(folder, old_manifest, OLD)
    catalog = write_catalog(folder / "catalog-1.parquet", new_manifest, recordings)
    target = folder / "plan-1.parquet"
    summary = make_plan(new_manifest, catalog, target, generation=1, earlier=[(folder / "catalog.parquet", first)])
    return summary, samples_of(target), first, target


def test_a_generation_holds_only_what_is_new_and_numbers_its_shards_on(tmp_path):
    m = manifest(split=SPLIT)
    summary, added, first, second = grow(tmp_path, m, m, OLD + NEW)
    before = samples_of(first)
    old, new = ({p.recording for s in part for p in s.parts} for part in (before, added))
    assert not old & new
    assert all(r.startswith("s/new/") for r in new)
    assert "s/new/copy.wav" not in new
    assert summary.rejected["duplicate"] == 1
    assert summary.rejected["in an earlier generation"] == len(OLD)
    assert not {s.key for s in before} & {s.key for s in added}
    assert {s.generation for s in added} == {1}
    names = [s.name for s in plan_overview(first)] + [s.name for s in plan_overview(second)]
    assert len(set(names)) == len(names)
    for split in ("train", "val", "test"):
        numbers = [int(n[-6:]) for n in names if n.startswith(split)]
        assert numbers == list(range(len(numbers)))


def test_no_group_changes_its_split(tmp_path):
    m = manifest(split=SPLIT)
    _, added, first, _ = grow(tmp_path, m, m, OLD + NEW)
    was = {s.group: s.split for s in samples_of(first)}
    common = {s.group for s in added} & set(was)
    assert len(common) > 5
    assert all(was.get(s.group, s.split) == s.split for s in added)


def test_the_old_files_need_not_be_there_any_more(tmp_path):
    m = manifest(split=SPLIT)
    a, b = grow(tmp_path / "a", m, m, OLD + NEW), grow(tmp_path / "b", m, m, NEW)
    assert [s.digest for s in plan_overview(a[3])] == [s.digest for s in plan_overview(b[3])]


def test_new_sources_and_other_limits_are_free(tmp_path):
    sources = [{"name": "s", "path": "/moved"}, {"name": "more", "path": "/more", "split": "test"}]
    changed = manifest(split=SPLIT, sources=sources, filters={"min_duration_s": 1.0}, output="b")
    extra = [recording("x.wav", 9.0, source="more", group="m")]
    _, added, _, _ = grow(tmp_path, manifest(split=SPLIT), changed, OLD + extra)
    assert {(s.source, s.split) for s in added} == {("more", "test")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 9}, "another seed"),
        ({"level": {"lufs": -23}}, "another level"),
        ({"segment": {"half_frames": 4001, "sample_rate": 8000}}, "another segment"),
        ({"shard": {"samples": 3}}, "another shard"),
        ({"split": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}}}, "another split.fractions"),
        ({"split": {**SPLIT, "salt": "x"}}, "another split.salt"),
        ({"sources": [{"name": "s", "path": "/a", "group": {"parent": 2}}]}, "another group of source s"),
        ({"sources": [{"name": "s", "path": "/a", "split": "test"}]}, "another split of source s"),
    ],
)
def test_what_would_change_earlier_decisions_is_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        grow(tmp_path, manifest(split=SPLIT), manifest(**({"split": SPLIT} | change)), OLD + NEW)


def test_a_pin_cannot_move_a_group_of_an_earlier_generation(tmp_path):
    m = manifest(split=SPLIT)
    groups = {s.group: s.split for s in plan(tmp_path, m, OLD)[1]}
    moved = next(g for g, s in sorted(groups.items()) if s == "train")
    with pytest.raises(UserError, match=f"group '{moved}' is in train since an earlier generation"):
        grow(tmp_path, m, manifest(split={**SPLIT, "test": [moved]}), OLD + NEW)


def test_nothing_new_is_said(tmp_path):
    m = manifest(split=SPLIT)
    with pytest.raises(UserError, match="nothing new to plan"):
        grow(tmp_path, m, m, OLD)


def test_wider_filters_take_in_what_the_earlier_ones_left_out_and_nothing_else(tmp_path):
    narrow, wide = (manifest(split=SPLIT, filters={"min_duration_s": least}) for least in (4.0, 1.5))
    _, added, first, _ = grow(tmp_path, narrow, wide, OLD)
    was, now = ({p.recording for s in part for p in s.parts} for part in (samples_of(first), added))
    lengths = {f"s/{r['path']}": r["seconds"] for r in OLD}
    assert was
    assert now
    assert all(lengths[name] >= 4.0 for name in was)
    assert all(1.5 <= lengths[name] < 4.0 for name in now)
    with pytest.raises(UserError, match="nothing new to plan"):
        grow(tmp_path / "again", wide, narrow, OLD)
