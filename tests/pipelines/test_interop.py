"""The tars are plain: tar, webdataset, Hugging Face datasets and Ray Data read the same samples."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest
import soundfile

from pipelines.corpus_view import CorpusView
from tests.pipelines.build_corpora import HALF, RATE, manifest_for, run_build, write_sources

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


def test_hugging_face_datasets_streams_them_by_the_card(corpus, keys, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    import datasets

    stream = datasets.load_dataset(str(corpus), split="train", streaming=True)
    found = list(stream)
    assert [s["__key__"] for s in found] == keys
    check(found[0])
    assert found[0]["json"]["key"] == keys[0]
    assert found[-1]["json"]["licence"] == "CC0"
    assert found[0]["json"]["metrics"]["input_lufs"] < 0


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
