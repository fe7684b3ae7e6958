"""References of other content: another group, drawn by key, written into the plan, rendered on its own, kept by resume."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.corpus.view import CorpusView
from pipelines.look.inspect import describe
from pipelines.plan.file import plan_overview
from pipelines.plan.samples import read_shard
from pipelines.storage.open import open_storage
from pipelines.verify.run import run_verify
from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.reader import Corpus, open_corpus
from stylefx.corpus.replay import FloatCorpus, read_replayed
from stylefx.corpus.stream import StreamLoader, StreamSet
from stylefx.errors import ManifestError
from tests.support.builds import hashes, manifest_for, run_build, write_sources

SPLIT = {"val": ["voices/speaker-1", "voices/speaker-3"], "test": ["voices/speaker-2", "voices/speaker-4"]}
MIXED = {"from": "both", "share": 0.6, "match": "any", "count": 2}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("s"), speakers=7, seconds=6.0)


def manifest(sources: Path, out: Path, **changes):
    return manifest_for(sources, out, **{"split": SPLIT, "reference": MIXED, "store": "both", "audio_format": "flac24"} | changes)


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("c") / "c"
    run_build(manifest(sources, out))
    return out


@pytest.fixture(scope="module")
def corpus(built) -> Corpus:
    return open_corpus(built)


def every(corpus: Corpus):
    return [(split, ref) for split in corpus.splits for ref in corpus.samples(split)]


def test_every_sample_has_as_many_references_and_they_are_of_another_group(corpus):
    groups = {ref.key: (split, ref.group) for split, ref in every(corpus)}
    kinds = set()
    for split, ref in every(corpus):
        assert {f"r{i}.{b}.flac" for i in (0, 1) for b in ("target", "dry")} <= set(ref.members)
        entries = corpus.metadata(ref)["references"]
        assert len(entries) == 2
        assert ref.references in ((), ("r0", "r1"))
        for entry in entries:
            assert groups[entry["key"]] == (split, entry["group"])
            assert (entry["group"] != ref.group) == bool(ref.references)
            assert entry["licence"] == "CC0"
        kinds.add(ref.references)
    assert len(kinds) == 2  # both other content and own halves


def test_the_plan_says_what_was_rendered(built, corpus):
    plan = built / "plan-0000.parquet"
    planned = {s.key: s for shard in plan_overview(plan) for s in read_shard(plan, shard.number)}
    for _, ref in every(corpus):
        references = planned[ref.key].references
        entries = corpus.metadata(ref)["references"]
        if references:
            assert [(r.sample.key, r.half) for r in references] == [(e["key"], e["half"]) for e in entries]
            assert [r.sample.parts[0].recording for r in references] == [e["parts"][0]["recording"] for e in entries]


def test_a_reference_carries_the_targets_effects_and_its_own_levels(corpus):
    for _, ref in every(corpus):
        document = corpus.metadata(ref)
        effects = [s for s in document["target"] if s["step"] == "effect"]
        for name, entry in zip(("r0", "r1"), document["references"], strict=True):
            assert [s for s in entry["steps"] if s["step"] == "effect"] == effects
            audio = corpus.read(ref, [f"{name}.target", "b.target"])
            if ref.references:
                assert np.abs(audio[f"{name}.target"]).max() == pytest.approx(10 ** (-12 / 20), rel=1e-4)
                assert np.abs(audio[f"{name}.target"][:, 0]).max() < 1e-3  # faded at its own ends
            else:
                assert np.array_equal(audio[f"{name}.target"], audio["b.target"])


def test_stored_recipes_render_again_in_float_what_is_stored(corpus):
    for _, ref in every(corpus):
        names = ["a.input", "b.input", "a.target", "b.target", "r0.target", "r1.target"]
        stored, again = corpus.read(ref, names), read_replayed(corpus, ref, names)
        for name in names:
            # 24 bits of the dry halves pass through up to 24 dB of gain
            assert np.abs(stored[name] - again[name]).max() < 2e-5, (ref.key, name)


def test_dry_halves_alone_render_the_same_pairs(sources, tmp_path, corpus):
    run_build(manifest(sources, tmp_path / "dry", store="dry"))
    dry = open_corpus(tmp_path / "dry")
    known = {ref.key: ref for _, ref in every(corpus)}
    for _, ref in every(dry):
        assert {m.split(".")[1] for m in ref.members if m != "json"} == {"dry"}
        for name in ("a.input", "b.target", "r0.target"):
            again = read_replayed(dry, ref, [name])[name]
            assert np.abs(again - read_replayed(corpus, known[ref.key], [name])[name]).max() < 2e-5
        told, stated = FloatCorpus.of(dry).metadata(ref), corpus.metadata(known[ref.key])
        for branch in ("input", "target"):  # the same steps, and gains as near as 24 bits are
            assert [s | {"gain_db": 0} for s in told[branch]] == [s | {"gain_db": 0} for s in stated[branch]]
            gains = [[s.get("gain_db", 0.0) for s in steps[branch]] for steps in (told, stated)]
            np.testing.assert_allclose(*gains, atol=1e-3)


def test_a_build_that_was_stopped_ends_with_the_same_bytes(built, sources, tmp_path):
    out = tmp_path / "c"
    run_build(manifest(sources, out))
    for sidecar in sorted(out.glob("train/*.json"))[:1]:
        sidecar.unlink()
    run_build(manifest(sources, out))
    assert hashes(out) == hashes(built)
    assert hashes(out, "*/*.parquet") == hashes(built, "*/*.parquet")


def test_verify_renders_references_again_and_counts_their_groups(built):
    report = run_verify(open_storage(str(built)), deep_share=1.0)
    assert not report.findings
    assert report.rendered_again == report.samples


def test_a_reference_from_another_split_is_damage(built, sources, tmp_path):
    out = tmp_path / "c"
    run_build(manifest(sources, out))
    table = next(iter(sorted(out.glob("train/*.parquet"))))
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(table)
    moved = [json.dumps(["voices/speaker-1", "voices/speaker-1"])] * rows.num_rows
    at = rows.schema.get_field_index("reference_groups")
    pq.write_table(rows.set_column(at, "reference_groups", pa.array(moved)), table)
    findings = [f.what for f in run_verify(open_storage(str(out))).findings]
    assert any("group 'voices/speaker-1' is in" in what for what in findings)


def test_a_split_of_one_group_is_refused_with_the_cure(sources, tmp_path):
    alone = {
        "fractions": {"train": 1.0, "val": 0.0, "test": 0.0},
        "val": ["voices/speaker-1"],
        "test": ["voices/speaker-2", "voices/speaker-4"],
    }
    with pytest.raises(ManifestError, match=r"'val' has a single group, 'voices/speaker-1'.*pin more groups into split\.val"):
        run_build(manifest(sources, tmp_path / "c", split=alone, reference={"from": "other"}))


def test_training_reads_the_stored_references(corpus):
    batches = list(TrainingLoader(TrainingSet([corpus], window=2), micro=8, workers=0, stop_step=3))
    refs = {ref.key: ref for _, ref in every(corpus)}
    seen = set()
    for batch in batches:
        for i, key in enumerate(batch.keys):
            assert batch.reference_other[i] == bool(refs[key].references)
            if refs[key].references:
                stored = corpus.read(refs[key], ["r0.target", "r1.target"])
                assert any(np.array_equal(batch.reference[i], audio) for audio in stored.values())
            seen.add(bool(refs[key].references))
    assert seen == {True, False}


def test_a_stream_of_the_tars_finds_the_same_references(built, corpus):
    refs = {ref.key: ref for _, ref in every(corpus)}
    frames = corpus.half_frames
    data = StreamSet([str(p) for p in sorted(built.glob("train/*.tar"))], corpus.sample_rate, frames, buffer=3)
    for batch in StreamLoader(data, micro=4, stop_step=3):
        for i, key in enumerate(batch.keys):
            assert batch.reference_other[i] == bool(refs[key].references)
            stored = corpus.read(refs[key], [f"{r}.target" for r in refs[key].references or ("a", "b")])
            assert any(np.array_equal(batch.reference[i], audio) for audio in stored.values())


def test_cards_and_inspect_name_the_references(built):
    view = CorpusView(str(built))
    assert "* `KEY.r1.dry.flac`" in (built / "README.md").read_text()
    row = view.find(next(iter(r["key"] for r in view.rows(["key", "status"]) if r["status"] == "ok")))
    assert "reference r1: half" in describe(view, row)
    wave, _ = soundfile.read(io.BytesIO(view.member(row, "r0.target.flac")))
    assert len(wave) == view.manifest["segment"]["half_frames"]
