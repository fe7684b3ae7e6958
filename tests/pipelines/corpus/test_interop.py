"""The tars are plain: tar, webdataset, Hugging Face datasets and Ray Data read the same samples."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.corpus.view import CorpusView
from stylefx.corpus.reader import open_corpus
from tests.support.builds import HALF, RATE, manifest_for, run_build, write_sources

MEMBERS = {"a.input.flac", "b.input.flac", "a.target.flac", "b.target.flac", "json"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("interop")
    out = folder / "corpus"
    run_build(manifest_for(write_sources(folder / "voices"), out), executor="direct")
    return out


@pytest.fixture(scope="module")
def tars(corpus) -> list[str]:
    return [str(p) for p in sorted(corpus.glob("train/*.tar"))]


@pytest.fixture(scope="module")
def keys(corpus) -> list[str]:
    return [r["key"] for r in CorpusView(str(corpus)).rows() if r["split"] == "train" and r["status"] == "ok"]


def check(sample: dict) -> None:
    """One sample as raw bytes, however it was read."""
    assert set(sample) >= MEMBERS
    audio, rate = soundfile.read(io.BytesIO(sample["a.target.flac"]))
    assert (len(audio), rate) == (HALF, RATE)


def test_plain_tar_lists_and_unpacks(corpus, tars, tmp_path):
    names = subprocess.run(["tar", "tf", tars[0]], capture_output=True, text=True, check=True).stdout.split()
    assert {n.split(".", 1)[1] for n in names} == MEMBERS
    subprocess.run(["tar", "xf", tars[0], "-C", str(tmp_path)], check=True)
    assert json.loads((tmp_path / next(n for n in names if n.endswith(".json"))).read_text())["format"] == 1


def test_webdataset_reads_them(tars, keys):
    import webdataset

    found = list(webdataset.WebDataset(tars, shardshuffle=False))
    assert [s["__key__"] for s in found] == keys
    check(found[0])


def test_wids_reads_them_by_index(corpus, keys):
    import wids

    index = json.loads((corpus / "wids-train.json").read_text())
    shards = [{**s, "url": str(corpus / s["url"])} for s in index["shardlist"]]
    dataset = wids.ShardListDataset(shards, transformations=[])
    assert len(dataset) == len(keys)
    assert dataset[len(keys) - 1]["__key__"] == keys[-1]


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    import datasets

    return datasets


def test_hugging_face_datasets_streams_them_by_the_card(corpus, keys, datasets):
    """Audio as bytes, for who has no decoder of theirs; they decode to what our reader reads."""
    features = datasets.load_dataset_builder(str(corpus)).info.features
    features |= {name: datasets.Value("binary") for name in MEMBERS - {"json"}}
    found = list(datasets.load_dataset(str(corpus), split="train", streaming=True, features=datasets.Features(features)))
    assert [s["__key__"] for s in found] == keys
    check(found[0])
    ours = open_corpus(corpus)
    for ref in ours.samples("train")[:5]:
        sample = found[keys.index(ref.key)]
        audio, _ = soundfile.read(io.BytesIO(sample["a.target.flac"]), dtype="float32", always_2d=True)
        np.testing.assert_array_equal(audio.T, ours.read(ref, ["a.target"])["a.target"])
    assert found[0]["json"]["key"] == keys[0]
    assert found[-1]["json"]["licence"] == "CC0"
    assert found[0]["json"]["metrics"]["input_lufs"] < 0


def test_the_card_declares_audio_which_viewers_play(corpus, keys, datasets, monkeypatch):
    """`datasets` wants torchcodec before it touches any audio; for bytes that it does not decode, a name is enough."""
    if importlib.util.find_spec("torchcodec") is None:
        for name in ("torchcodec", "torchcodec.encoders"):
            monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(AudioEncoder=None))
    stream = datasets.load_dataset(str(corpus), split="train", streaming=True)
    members = sorted(MEMBERS - {"json"})
    assert [stream.features[name] for name in members] == [datasets.Audio(sampling_rate=RATE)] * len(members)
    for name in members:
        stream = stream.cast_column(name, datasets.Audio(sampling_rate=RATE, decode=False))
    view = CorpusView(str(corpus))
    stored = {r["key"]: r for r in view.rows() if r["status"] == "ok"}
    found = list(stream)
    assert [s["__key__"] for s in found] == keys
    for sample in found[:5]:
        for name in members:
            assert sample[name]["bytes"] == view.member(stored[sample["__key__"]], name)
            assert sample[name]["path"].endswith(name)


@pytest.mark.xdist_group("ray")
def test_ray_data_reads_them(tars, keys):
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    try:
        found = ray.data.read_webdataset(tars, decoder=False).take_all()
        assert sorted(s["__key__"] for s in found) == sorted(keys)
        check(found[0])
    finally:
        ray.shutdown()


def test_croissant_validates_and_its_records_yield_audio(corpus, tmp_path, monkeypatch):
    """By the standard's own reader: no error, and every record of a member is its key and its audio."""
    monkeypatch.setenv("CROISSANT_CACHE", str(tmp_path))  # read when the package is imported
    croissant = pytest.importorskip("mlcroissant")
    dataset = croissant.Dataset(str(corpus / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert str(dataset.metadata.ctx.conforms_to.value).endswith("croissant/1.1")
    view = CorpusView(str(corpus))
    stored = {r["key"]: r for r in view.rows() if r["status"] == "ok"}
    found = {r["a.target/key"].decode(): r["a.target/audio"] for r in dataset.records("a.target")}
    assert found.keys() == stored.keys()
    for key in list(stored)[:5]:
        assert found[key] == view.member(stored[key], "a.target.flac")
    documents = {r["json/key"].decode(): r["json/document"] for r in dataset.records("json")}
    assert json.loads(documents[min(stored)])["key"] == min(stored)
