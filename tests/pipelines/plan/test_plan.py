"""The plan is a pure function of the catalog and the manifest, and promises what the renderer relies on."""

from __future__ import annotations

import contextlib
import dataclasses
import random

import numpy as np
import pytest

from pipelines.catalog.measure import CODE_POWER
from pipelines.manifest.model import Manifest
from pipelines.plan import order as plan_order
from pipelines.plan import place as plan_place
from pipelines.plan.file import plan_overview
from pipelines.plan.hash import segment_hashes
from pipelines.plan.make import make_plan
from stylefx.errors import StylefxError, UserError
from tests.support.planning import LOUD, collection, manifest, plan, recording, row, samples_of, write_catalog

HALF, RATE = 4000, 8000
MIXED = collection(150, (0.2, 9.0), groups=7)


def by_key(samples):
    return {s.key: s for s in samples}


def plain(samples):
    """Comparable without where the files lie."""
    return {s.key: dataclasses.replace(s, parts=tuple(dataclasses.replace(p, uri="") for p in s.parts)) for s in samples}


def test_the_order_of_the_catalog_changes_nothing(tmp_path):
    shuffled = random.Random(1).sample(MIXED, len(MIXED))
    a, b = plan(tmp_path / "a", manifest(), MIXED), plan(tmp_path / "b", manifest(), shuffled)
    assert len(a[1]) > 100
    assert [s.digest for s in plan_overview(a[2])] == [s.digest for s in plan_overview(b[2])]
    assert a[1] == b[1]


def test_the_size_of_the_working_blocks_changes_nothing(tmp_path, monkeypatch):
    whole = plan(tmp_path / "a", manifest(), MIXED)
    monkeypatch.setattr(plan_place, "_BLOCK_TAPES", 3)
    monkeypatch.setattr(plan_place, "_BLOCK_WINDOWS", 100)
    monkeypatch.setattr(plan_order, "_BUCKET_ITEMS", 10)
    monkeypatch.setattr("pipelines.catalog.recordings._IN_MEMORY", 100)
    monkeypatch.setattr("pipelines.plan.make._TABLE_ROWS", 7)
    monkeypatch.setattr("pipelines.plan.file._BATCH_ROWS", 20)
    small = plan(tmp_path / "b", manifest(), MIXED)
    assert [(s.name, s.digest) for s in plan_overview(whole[2])] == [(s.name, s.digest) for s in plan_overview(small[2])]


def test_adding_long_recordings_never_moves_what_was_there(tmp_path):
    m = manifest(split={"fractions": {"train": 0.6, "val": 0.2, "test": 0.2}})
    before = plain(plan(tmp_path / "a", m, collection(60, (3, 9), groups=12))[1])
    more = collection(60, (3, 9), groups=12) + collection(30, (3, 9), groups=20, seed=5, prefix="new")
    after = plain(plan(tmp_path / "b", m, more)[1])
    assert before.items() <= after.items()
    assert len(after) > len(before)


@pytest.mark.parametrize("extra", range(8))
def test_adding_one_clip_changes_one_tape(tmp_path, extra):
    clips = collection(200, (0.3, 1.0), groups=2)
    before = plain(plan(tmp_path / "a", manifest(), clips)[1])
    after = plain(plan(tmp_path / "b", manifest(), [*clips, recording(f"one/more{extra}.wav", 0.8, group="g1")])[1])

    def tapes(samples):
        return {k.rsplit("-", 1)[0] for k in samples}

    gone, come = tapes(before) - tapes(after), tapes(after) - tapes(before)
    assert len(tapes(before)) > 8
    assert len(gone) <= 1
    assert len(come) <= 2  # the clip may cut a tape in two
    kept = tapes(before) - gone
    assert {k: v for k, v in before.items() if k.rsplit("-", 1)[0] in kept} == {
        k: v for k, v in after.items() if k.rsplit("-", 1)[0] in kept
    }


def test_tapes_start_where_the_hash_says_and_hold_clips_of_one_group(tmp_path):
    _, samples, _ = plan(tmp_path, manifest(join={"every": 4}), collection(300, (0.3, 0.9), groups=3))
    groups = {f"s/f/{i:05d}.wav": f"s/g{i % 3}" for i in range(300)}
    joined = [s for s in samples if len(s.parts) > 1]
    assert joined
    for s in joined:
        assert {groups[p.recording] for p in s.parts} == {s.group}
        hashes = [row(recording(p.recording[2:], 1))["identity"] for p in s.parts]
        assert hashes == sorted(hashes)
        assert all(h % 4 for h in hashes[1:])


def test_no_group_and_no_content_is_in_two_splits(tmp_path):
    many = collection(400, (2.5, 4.0), groups=40)
    for i, r in enumerate(many):
        r["content"] = f"c{i % 350}"  # 50 files are copies, some under another group
    m = manifest(split={"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}})
    summary, samples, _ = plan(tmp_path, m, many)
    content = {f"s/{r['path']}": r["content"] for r in many}
    for key in (lambda s: s.group, lambda s: content[s.parts[0].recording]):
        splits: dict = {}
        for s in samples:
            assert splits.setdefault(key(s), s.split) == s.split
    assert {s.split for s in samples} == {"train", "val", "test"}
    assert summary.rejected["duplicate"] == 50


def test_of_equal_recordings_the_smallest_identity_stays(tmp_path):
    same = [recording(f"{n}.wav", 3.0, group=n, content="same") for n in ("b", "a", "c")]
    _, samples, _ = plan(tmp_path, manifest(), same)
    assert {s.parts[0].recording for s in samples} == {"s/a.wav"}


def test_as_much_is_read_as_the_tempo_needs_and_it_is_there(tmp_path):
    many = collection(200, (0.3, 9.0), groups=9)
    frames = {f"s/{r['path']}": int(r["seconds"] * r["rate"]) for r in many}
    _, samples, _ = plan(tmp_path, manifest(), many)
    tempos = np.array([s.tempo for s in samples])
    for s in samples:
        assert s.read_frames == int(np.ceil(s.tempo * 2 * HALF))
        assert sum(p.num_frames * RATE // p.sample_rate for p in s.parts) >= s.read_frames
        for p in s.parts:
            assert p.start_frame >= 0
            assert p.num_frames > 0
            assert p.start_frame + p.num_frames <= frames[p.recording]
    assert 0.35 < np.mean(tempos != 1.0) < 0.65
    assert tempos.min() >= 0.8
    assert tempos.max() <= 1.2


def test_only_training_samples_are_augmented(tmp_path):
    m = manifest(split={"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}})
    _, samples, _ = plan(tmp_path, m, collection(200, (3, 9), groups=40))
    changed = {s.split for s in samples if s.tempo != 1.0 or s.pitch_cents != 0.0}
    assert changed == {"train"}
    assert {s.split for s in samples} == {"train", "val", "test"}


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_segments_follow_one_another_along_a_recording(tmp_path, overlap):
    m = manifest(segment={"half_frames": HALF, "sample_rate": RATE, "overlap": overlap})
    _, samples, _ = plan(tmp_path, m, [recording("long.wav", 60.0)])
    samples = sorted(samples, key=lambda s: s.parts[0].start_frame)
    assert [int(s.key[-5:]) for s in samples] == list(range(len(samples)))
    position = 0
    for s in samples:
        assert s.parts[0].start_frame == position
        position += int(s.read_frames * (1 - overlap))
    assert position > 55 * RATE


def test_both_halves_of_every_segment_are_active(tmp_path):
    rng = np.random.default_rng(2)
    many = []
    for i in range(30):
        codes = np.repeat(rng.choice([0, 80, LOUD], 40, p=[0.5, 0.2, 0.3]), 10)  # silence, -60 dB and -20 dB in half seconds
        many.append(recording(f"{i}.wav", 20.0, activity=codes))
    _, samples, _ = plan(tmp_path, manifest(), many)
    codes = {f"s/{r['path']}": r["activity"] for r in many}
    assert len(samples) > 100
    for s in samples:
        p = s.parts[0]
        power = np.repeat(CODE_POWER[codes[p.recording]], 400)[p.start_frame : p.start_frame + s.read_frames]
        assert min(power[: s.read_frames // 2].mean(), power[s.read_frames // 2 :].mean()) > 1e-5


def test_what_gives_no_segment_is_counted_by_reason(tmp_path):
    silent = recording("silent.wav", 5.0, activity=np.zeros(100, np.uint8))
    short, broken = recording("short.wav", 0.4, group="alone"), recording("broken.wav", 1.0, error="unreadable: no")
    nobody = recording("nobody.wav", 4.0, group="")
    summary, samples, _ = plan(tmp_path, manifest(), [silent, short, broken, nobody, recording("good.wav", 5.0)])
    assert {s.parts[0].recording for s in samples} == {"s/good.wav"}
    assert summary.rejected == {"unreadable": 1, "no group": 1, "not active": 1, "too short for a segment": 1}


def test_a_stretch_moves_past_silence(tmp_path):
    codes = np.concatenate([np.zeros(70), np.full(130, LOUD)])  # 3.5 s of silence, 6.5 s of sound
    _, samples, _ = plan(tmp_path, manifest(augment={"probability": 0.0}), [recording("late.wav", 10.0, activity=codes)])
    starts = sorted(s.parts[0].start_frame for s in samples)
    assert len(starts) == 6
    assert 3.0 * RATE < starts[0] < 3.75 * RATE


def test_samples_are_in_the_order_of_their_hash(tmp_path):
    _, samples, _ = plan(tmp_path, manifest(), MIXED)
    tape = np.array([int(s.key.split("-")[1], 16) for s in samples], np.uint64)
    order = segment_hashes(tape, np.array([int(s.key.split("-")[2]) for s in samples]))
    assert (np.diff(order.astype(object)) > 0).all()


def test_shards_hold_as_many_samples_as_the_manifest_says(tmp_path):
    _, samples, target = plan(tmp_path, manifest(), MIXED)
    shards = plan_overview(target)
    assert [s.samples for s in shards[:-1]] == [16] * (len(shards) - 1)
    assert sum(s.samples for s in shards) == len(samples)
    assert [s.name for s in shards] == [f"train/train-{i:06d}" for i in range(len(shards))]


def test_where_the_sources_lie_is_no_part_of_the_plan(tmp_path):
    a = plan(tmp_path / "a", manifest(), MIXED)
    b = plan(tmp_path / "b", manifest(sources=[{"name": "s", "path": "/else/where"}]), MIXED)
    assert [s.digest for s in plan_overview(a[2])] == [s.digest for s in plan_overview(b[2])]
    assert a[1][0].parts[0].uri.startswith("/nowhere/f/")
    assert b[1][0].parts[0].uri.startswith("/else/where/f/")


def test_another_plan_has_other_digests(tmp_path):
    a, b = plan(tmp_path / "a", manifest(), MIXED), plan(tmp_path / "b", manifest(seed=4), MIXED)
    assert not {s.digest for s in plan_overview(a[2])} & {s.digest for s in plan_overview(b[2])}


def test_an_empty_split_is_refused(tmp_path):
    m = manifest(split={"fractions": {"train": 0.8, "val": 0.1, "test": 0.1}})
    with pytest.raises(UserError, match=r"split '\w+' came out empty: no group fell into it"):
        plan(tmp_path, m, collection(20, (3, 4), groups=1))
    assert not list(tmp_path.glob("*plan*"))


def test_pins_are_kept_and_an_unknown_one_names_the_near_miss(tmp_path):
    m = manifest(split={"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}, "val": ["s/g1"], "test": ["s/g2", "s/g3"]})
    _, samples, _ = plan(tmp_path, m, MIXED)
    assert {s.group for s in samples if s.split == "val"} == {"s/g1"}
    assert {s.group for s in samples if s.split == "test"} == {"s/g2", "s/g3"}
    with pytest.raises(UserError, match=r"split.val pins the group 's/gg1'.*did you mean 's/g1'"):
        plan(tmp_path, manifest(split={"val": ["s/gg1"]}), MIXED)


def test_a_source_can_go_into_one_split_as_a_whole(tmp_path):
    sources = [{"name": "s", "path": "/a"}, {"name": "held", "path": "/b", "split": "test"}]
    many = collection(30, (3, 4)) + [recording("x.wav", 9.0, source="held", group=f"h{i}", content=str(i)) for i in range(1)]
    _, samples, _ = plan(tmp_path, manifest(sources=sources), many)
    assert {(s.source, s.split) for s in samples} == {("s", "train"), ("held", "test")}


def two_sources(**changes) -> tuple[Manifest, list[dict]]:
    weight = 3.0 if "balance" in changes.get("selection", {}) else 1.0
    sources = [{"name": "s", "path": "/a"}, {"name": "t", "path": "/b", "weight": weight}]
    many = [recording(f"{i}.wav", 10.0, source="s", group=str(i % 5)) for i in range(40)]
    many += [recording(f"{i}.wav", 10.0, source="t", group=str(i % 5)) for i in range(20)]
    return manifest(sources=sources, **changes), many


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"hours": 60 / 3600}, {"s": 40, "t": 20}),
        ({"hours": 40 / 3600, "balance": "weight"}, {"s": 10, "t": 30}),
        ({"hours": {"train": 12 / 3600}, "balance": "weight"}, {"s": 3, "t": 9}),
    ],
)
def test_as_many_hours_as_wanted_balanced_between_sources(tmp_path, selection, expected):
    m, many = two_sources(selection=selection, augment={"probability": 0.0})
    summary, samples, _ = plan(tmp_path, m, many)
    assert {n: sum(s.source == n for s in samples) for n in expected} == expected
    everything = plan(tmp_path / "all", two_sources(augment={"probability": 0.0})[0], many)[1]
    assert set(by_key(samples)) < set(by_key(everything))
    assert summary.rejected["not needed"] == len(everything) - len(samples)


def test_balance_without_hours_takes_as_much_as_the_weights_allow(tmp_path):
    m, many = two_sources(selection={"balance": "weight"}, augment={"probability": 0.0})
    summary, _, _ = plan(tmp_path, m, many)
    assert summary.sources["t"]["samples"] == 200
    assert summary.sources["s"]["samples"] == 66


def test_at_most_so_many_samples_of_one_recording(tmp_path):
    m = manifest(segment={"half_frames": HALF, "sample_rate": RATE, "per_recording": 2})
    _, samples, _ = plan(tmp_path, m, [recording("a.wav", 30.0), recording("b.wav", 30.0), recording("c.wav", 1.3)])
    counts = [sum(s.parts[0].recording == f"s/{n}.wav" for s in samples) for n in "abc"]
    assert counts == [2, 2, 1]


def test_a_catalog_of_other_rules_is_refused(tmp_path):
    catalog = write_catalog(tmp_path / "c.parquet", manifest(), MIXED)
    other = manifest(sources=[{"name": "s", "path": "/nowhere", "group": {"parent": 2}}])
    with pytest.raises(UserError, match="scan again"):
        make_plan(other, catalog, tmp_path / "p.parquet")


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    plan(folder, manifest(), collection(60, (0.3, 6.0), groups=5))
    return {name: (folder / f"{name}.parquet").read_bytes() for name in ("catalog", "plan")}


def damaged(data: bytes, seed: int) -> bytes:
    """Cut, or with some bytes changed, anywhere or in the footer."""
    rng = random.Random(seed)
    if seed % 4 == 0:
        return data[: rng.randrange(len(data))]
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 8])):
        at = rng.randrange(len(out)) if seed % 2 else len(out) - 1 - rng.randrange(min(4000, len(out)))
        out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


@pytest.mark.parametrize("seed", range(120))
def test_a_damaged_catalog_or_plan_is_never_used_and_never_a_traceback(tmp_path, good_files, seed):
    good = tmp_path / "good.parquet"
    good.write_bytes(good_files["plan"])
    expected = [(s.digest, samples_of(good)) for s in plan_overview(good)][:1]
    for name, data in good_files.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(damaged(data, seed))
        with contextlib.suppress(StylefxError):  # either the same plan or one sentence
            if name == "plan":
                assert [(s.digest, samples_of(path)) for s in plan_overview(path)][:1] == expected
            else:
                make_plan(manifest(), path, tmp_path / "again.parquet")
                assert samples_of(tmp_path / "again.parquet") == expected[0][1]
