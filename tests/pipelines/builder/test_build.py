"""A built corpus: the same bytes wherever it was built, complete metadata, and tars that other tools open."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from pipelines.builder.lease import Share
from pipelines.corpus.plans import plans_of
from pipelines.plan.samples import read_shard
from pipelines.shards.make import run_task
from pipelines.storage.open import open_storage
from stylefx.corpus.schema import SHARD_COLUMNS
from stylefx.errors import IncompleteError, UserError
from tests.support.builds import HALF, RATE, hashes, manifest_for, run_build, write_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("sources") / "voices")


@pytest.fixture(scope="module")
def reference(sources, tmp_path_factory) -> Path:
    """A corpus that was built undisturbed, in one process."""
    out = tmp_path_factory.mktemp("reference") / "corpus"
    summary = run_build(manifest_for(sources, out), executor="direct")
    assert summary.finished
    assert summary.tally.counts["ok"] == summary.tally.samples > 40
    return out


@pytest.fixture(scope="module")
def ray_cluster():
    """One private runtime with four slots for all tests of this module."""
    from pipelines.workers.ray import RayExecutor

    executor = RayExecutor(run_task, 4, None)
    yield executor
    executor.close()


def list_modules(task):
    """Renders a shard and writes down what that imported."""
    report = run_task(task)
    (Path(task.out) / f"modules-{task.number}.json").write_text(json.dumps(sorted(sys.modules)))
    return report


@pytest.mark.parametrize("workers", [1, 2])
def test_child_processes_give_the_same_bytes(sources, reference, tmp_path, workers):
    run_build(manifest_for(sources, tmp_path / "c"), executor="inline", workers=workers)
    assert hashes(tmp_path / "c") == hashes(reference)
    assert hashes(tmp_path / "c", "*/*.parquet") == hashes(reference, "*/*.parquet")
    assert (tmp_path / "c/index.json").read_bytes() == (reference / "index.json").read_bytes()


@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ray_workers_give_the_same_bytes_and_import_no_torch(sources, reference, tmp_path, workers, ray_cluster):
    summary = run_build(manifest_for(sources, tmp_path / "c"), executor="ray", workers=workers, work=list_modules)
    assert 1 <= summary.workers <= workers  # a ceiling: small shards can be done before all have begun
    assert hashes(tmp_path / "c") == hashes(reference)
    for path in (tmp_path / "c").glob("modules-*.json"):
        assert not {"torch", "webdataset", "librosa", "matplotlib"} & set(json.loads(path.read_text()))


def test_shares_and_finalize_make_the_same_corpus(sources, reference, tmp_path):
    from pipelines.builder.lease import Share

    manifest = manifest_for(sources, tmp_path / "c")
    for index in range(3):
        summary = run_build(manifest, executor="direct", share=Share(index, 3), finalize=False)
        assert not summary.finished
        assert not (tmp_path / "c/index.json").exists()
    summary = run_build(manifest, executor="direct")
    assert summary.rendered_shards == 0
    assert hashes(tmp_path / "c") == hashes(reference)


def test_a_share_that_is_missing_stops_finalizing(sources, tmp_path):
    from pipelines.builder.finalize import finalize
    from pipelines.builder.lease import Share
    from pipelines.builder.prepare import PrepareOptions, prepare

    manifest = manifest_for(sources, tmp_path / "c")
    run_build(manifest, executor="direct", share=Share(0, 2), finalize=False)
    prepared = prepare(manifest, manifest.output, PrepareOptions(workers=0))
    with pytest.raises(IncompleteError, match="are not committed"):
        finalize(open_storage(tmp_path / "c"), manifest, prepared.shards, {})


def test_every_planned_sample_has_a_row_that_finds_its_members(reference):
    """Offsets in the table lead to audio of the right length and to the sample's JSON, for every sample."""
    count = 0
    for path, shards in plans_of(open_storage(reference)):
        for shard in shards:
            planned = read_shard(path, shard.number)
            rows = pq.read_table(reference / f"{shard.name}.parquet").to_pylist()
            assert tuple(rows[0]) == SHARD_COLUMNS
            assert [row["key"] for row in rows] == [sample.key for sample in planned]
            tar = (reference / f"{shard.name}.tar").read_bytes()
            for row, sample in zip(rows, planned, strict=True):
                members = json.loads(row["members"])
                assert list(members) == ["a.input.flac", "b.input.flac", "a.target.flac", "b.target.flac", "json"]
                for suffix, (offset, size) in members.items():
                    data = tar[offset : offset + size]
                    if suffix != "json":
                        info = soundfile.info(io.BytesIO(data))
                        assert (info.frames, info.samplerate, info.channels, info.subtype) == (HALF, RATE, 1, "PCM_24")
                document = json.loads(tar[slice(members["json"][0], sum(members["json"]))])
                assert document["key"] == sample.key
                assert document["licence"] == "CC0"
                assert [p["recording"] for p in document["parts"]] == [p.recording for p in sample.parts]
                count += 1
    assert count > 40


def test_recorded_gains_and_peaks_are_those_of_the_audio(reference):
    """Every normalisation carries its gain, and both branches end at -12 dBFS to within the format's step."""
    import tarfile

    with tarfile.open(reference / "train/train-000000.tar") as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}
    for name in [n for n in files if n.endswith(".json")]:
        document = json.loads(files[name])
        assert all("gain_db" in s for b in ("clean", "input", "target") for s in document[b] if s["step"] == "normalise")
        for branch in ("input", "target"):
            halves = [soundfile.read(io.BytesIO(files[f"{document['key']}.{h}.{branch}.flac"]))[0] for h in "ab"]
            peak = 20 * np.log10(np.abs(np.concatenate(halves)).max())
            assert peak == pytest.approx(-12.0, abs=0.01)
            assert document["metrics"][f"{branch}_peak_dbfs"] == pytest.approx(-12.0, abs=0.001)


def test_loudness_in_the_table_is_pyloudnorms_with_the_standards_filters(reference):
    import pyloudnorm

    tar = (reference / "train/train-000000.tar").read_bytes()
    meter = pyloudnorm.Meter(RATE, filter_class="DeMan")
    for row in pq.read_table(reference / "train/train-000000.parquet").to_pylist():
        members = json.loads(row["members"])
        for branch in ("input", "target"):
            halves = []
            for half in "ab":
                offset, size = members[f"{half}.{branch}.flac"]
                halves.append(soundfile.read(io.BytesIO(tar[offset : offset + size]))[0])
            whole = np.concatenate(halves)[: 2 * HALF // 1200 * 1200]  # the standard leaves out an incomplete last block
            assert row[f"{branch}_lufs"] == pytest.approx(meter.integrated_loudness(whole), abs=0.02)


def test_webdataset_opens_the_tars(reference):
    import webdataset as wds

    index = json.loads((reference / "index.json").read_text())
    for split in ("train", "val", "test"):
        shards = [s for s in index["shards"] if s["split"] == split]
        urls = [str(reference / f"{s['name']}.tar") for s in shards]
        samples = list(wds.WebDataset(urls, shardshuffle=False))
        assert len(samples) == sum(s["samples"] for s in shards) > 0
        assert {"a.input.flac", "b.input.flac", "a.target.flac", "b.target.flac", "json"} <= set(samples[0])


def test_a_finished_corpus_is_left_alone(sources, reference, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in reference.rglob("*.tar")} | {
        p: p.stat().st_mtime_ns for p in reference.glob("*.json")
    }
    summary = run_build(manifest_for(sources, reference), executor="direct")
    assert (summary.rendered_shards, summary.finished) == (0, True)
    after = {p: p.stat().st_mtime_ns for p in before if p.suffix == ".tar" or p.name == "index.json"}
    assert after == {p: before[p] for p in after}


def test_another_manifest_is_refused_with_the_fields_that_differ(sources, reference):
    changed = manifest_for(sources, reference, seed=7, segment={"half_frames": HALF, "sample_rate": 16000})
    with pytest.raises(UserError, match=r"seed was 0, is 7; segment.sample_rate was 12000, is 16000"):
        run_build(changed, executor="direct")


def test_what_changes_no_byte_may_change(sources, reference):
    assert run_build(manifest_for(sources, reference, limits={"max_failed_share": 0.5}), executor="direct").finished


def test_growing_adds_shards_and_touches_no_old_one(tmp_path):
    folder = write_sources(tmp_path / "voices", speakers=4)
    out = tmp_path / "c"
    run_build(manifest_for(folder, out), executor="direct")
    before = hashes(out)
    new = write_sources(tmp_path / "more", speakers=1)
    (new / "speaker-0").rename(folder / "speaker-9")
    for path in (folder / "speaker-9").iterdir():  # not the same audio as speaker-0
        audio, rate = soundfile.read(path)
        soundfile.write(path, audio[::-1], rate)
    summary = run_build(manifest_for(folder, out), executor="direct", grow=True)
    assert summary.rendered_shards > 0
    after = hashes(out)
    assert before.items() <= after.items()
    index = json.loads((out / "index.json").read_text())
    assert [g["number"] for g in index["generations"]] == [0, 1]
    assert len(index["shards"]) == len(after)


def test_a_generation_that_was_interrupted_is_finished_by_the_same_command(tmp_path):
    folder = write_sources(tmp_path / "voices", speakers=3)
    manifest = manifest_for(folder, tmp_path / "c")
    run_build(manifest, executor="direct", share=Share(0, 2), finalize=False)
    with pytest.raises(UserError, match="is not finished; run build without --grow first"):
        run_build(manifest, executor="direct", grow=True)
    run_build(manifest, executor="direct")
    (folder / "speaker-3").mkdir()
    for path in (folder / "speaker-0").iterdir():
        audio, rate = soundfile.read(path)
        soundfile.write(folder / "speaker-3" / path.name, audio[::-1], rate)
    run_build(manifest, executor="direct", grow=True, share=Share(0, 2), finalize=False)
    run_build(manifest, executor="direct", grow=True)
    index = json.loads((tmp_path / "c/index.json").read_text())
    assert [g["number"] for g in index["generations"]] == [0, 1]
    with pytest.raises(UserError, match="nothing new to plan"):
        run_build(manifest, executor="direct", grow=True)


def turned_down(probability: float) -> dict:
    """Changes of a manifest: clips turned down so far that they count as silent."""
    quiet = [{"step": "scale", "gain_db": {"constant": -100, "probability": probability}}, {"step": "normalise"}]
    return {"chains": {"clean": quiet}, "selection": {"hours": 0.02}}


def test_what_is_filtered_is_counted_by_reason_and_limited(sources, tmp_path):
    summary = run_build(manifest_for(sources, tmp_path / "c", **turned_down(0.5)), executor="direct")
    assert summary.finished
    assert summary.filtered == {"silent": summary.tally.counts["filtered"]}
    assert 0 < summary.tally.counts["filtered"] < summary.tally.samples
    strict = manifest_for(sources, tmp_path / "c", limits={"max_filtered_share": 0.01}, **turned_down(0.5))
    with pytest.raises(IncompleteError, match=r"samples were filtered, more than limits.max_filtered_share = 0.01"):
        run_build(strict, executor="direct")


def test_a_corpus_without_a_usable_sample_is_none(sources, tmp_path):
    with pytest.raises(IncompleteError, match=r"none of the .* samples is usable"):
        run_build(manifest_for(sources, tmp_path / "c", **turned_down(1.0)), executor="direct")
    assert not (tmp_path / "c/index.json").exists()


@pytest.mark.parametrize("audio_format", ["flac16", "flac24", "pcm16", "float32"])
@pytest.mark.parametrize(("store", "branches"), [("pair", 2), ("dry", 1), ("both", 3)])
def test_every_format_and_store_reads_back(sources, tmp_path, audio_format, store, branches):
    """One shard of each kind; the dry branch of `both` is what `dry` stores."""
    manifest = manifest_for(sources, tmp_path / "c", audio_format=audio_format, store=store, selection={"hours": 0.004})
    summary = run_build(manifest, executor="direct")
    assert summary.tally.counts["ok"] == summary.tally.samples > 0
    rows = pq.read_table(next((tmp_path / "c/train").glob("*.parquet"))).to_pylist()
    assert len(json.loads(rows[0]["members"])) == 2 * branches + 1


def test_a_stereo_corpus_of_mono_and_stereo_recordings(tmp_path):
    folder = write_sources(tmp_path / "voices", speakers=3)
    audio, rate = soundfile.read(folder / "speaker-0/long.wav")
    soundfile.write(folder / "speaker-0/long.wav", np.stack([audio, 0.3 * audio], axis=1), rate)
    segment = {"half_frames": HALF, "sample_rate": RATE, "channels": 2}
    manifest = manifest_for(folder, tmp_path / "c", segment=segment)
    summary = run_build(manifest, executor="direct")
    assert summary.tally.counts["ok"] == summary.tally.samples > 0
