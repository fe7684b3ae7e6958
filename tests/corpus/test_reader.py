"""Opening a corpus and reading its samples: what was written comes back; what is not finished or damaged is named."""

from __future__ import annotations

import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile as sf

from stylefx.corpus.reader import open_corpus
from stylefx.errors import DamageError, UserError
from tests.support.stored_corpus import make_corpus


@pytest.fixture(params=["flac", "wav"])
def corpus_path(request, tmp_path):
    return make_corpus(tmp_path / "c", {"train": [3, 2], "val": [1]}, channels=2, audio_format=request.param)


def test_random_access_returns_what_a_plain_tar_reader_finds(corpus_path):
    corpus = open_corpus(corpus_path)
    assert (corpus.sample_rate, corpus.channels, corpus.half_frames, corpus.splits) == (24000, 2, 4096, ["train", "val"])
    for ref in corpus.samples("train")[::-1]:
        with tarfile.open(corpus_path / f"{ref.shard}.tar") as tar:
            names = [n for n in tar.getnames() if n.startswith(ref.key)]
            for name in [n for n in names if not n.endswith("json")]:
                want, _ = sf.read(io.BytesIO(tar.extractfile(name).read()), dtype="float32", always_2d=True)
                half = name.removeprefix(ref.key + ".").rsplit(".", 1)[0]
                assert np.array_equal(corpus.read(ref, [half])[half], want.T)
                assert np.array_equal(corpus.read(ref, [half], 1000, 77)[half], want.T[:, 1000:1077])
        assert corpus.metadata(ref)["key"] == ref.key


def test_rows_that_were_filtered_are_no_samples(corpus_path):
    corpus = open_corpus(corpus_path)
    assert len(corpus.samples("train")) == 5
    assert not any(ref.key.startswith("filtered") for ref in corpus.samples("train"))


def test_a_corpus_without_index_is_refused(corpus_path):
    (corpus_path / "index.json").unlink()
    with pytest.raises(UserError, match=r"no index.json.*not a finished corpus.*stylefx-pipe build"):
        open_corpus(corpus_path)


def test_unknown_version_split_half_and_generation_are_refused(corpus_path):
    corpus = open_corpus(corpus_path)
    with pytest.raises(UserError, match="no split 'test'; it has train, val"):
        corpus.samples("test")
    with pytest.raises(UserError, match=r"no 'a.dry'"):
        corpus.read(corpus.samples("val")[0], ["a.dry"])
    with pytest.raises(UserError, match="generations"):
        open_corpus(corpus_path, generations=[4])
    index = json.loads((corpus_path / "index.json").read_text())
    (corpus_path / "index.json").write_text(json.dumps(index | {"version": 99}))
    with pytest.raises(UserError, match="version 99"):
        open_corpus(corpus_path)


def test_damaged_audio_and_missing_shards_are_named(tmp_path):
    path = make_corpus(tmp_path / "c", {"train": [2]})
    corpus = open_corpus(path)
    ref = corpus.samples("train")[0]
    offset, size = ref.members["a.input.flac"]
    with open(path / "train/train-000000.tar", "r+b") as f:
        f.seek(offset)
        f.write(b"\0" * size)
    with pytest.raises(DamageError, match=rf"train-000000.tar.*{ref.key}.a.input"):
        open_corpus(path).read(ref, ["a.input"])
    (path / "train/train-000000.tar").unlink()
    with pytest.raises(UserError, match=r"train-000000.tar is missing"):
        open_corpus(path).read(ref, ["a.input"])


def test_many_threads_may_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("stylefx.corpus.stores.local._FILES_KEPT", 2)
    path = make_corpus(tmp_path / "c", {"train": [2] * 6})
    corpus = open_corpus(path)
    refs = corpus.samples("train") * 10
    want = {r.key: corpus.read(r, ["b.target"])["b.target"] for r in refs[:12]}
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda r: corpus.read(r, ["b.target"])["b.target"], refs))
    assert all(np.array_equal(g, want[r.key]) for g, r in zip(got, refs, strict=True))
