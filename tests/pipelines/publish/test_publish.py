"""A corpus published: in order, resumed, grown without touching old shards; over the S3 protocol and into a folder."""

from __future__ import annotations

import json

import pytest
import soundfile

from pipelines.corpus.view import CorpusView
from pipelines.publish import target as targets
from pipelines.publish.pieces import published
from pipelines.publish.run import publish
from pipelines.publish.target import StorageTarget, open_target
from pipelines.storage.open import open_storage
from pipelines.verify.run import run_verify
from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from tests.pipelines.storage.test_s3 import servers, use  # noqa: F401
from tests.support.builds import RATE, manifest_for, run_build, tone_bursts, write_sources


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """(the corpus when it had one generation, the same with two)"""
    import shutil

    folder = tmp_path_factory.mktemp("publish")
    voices = write_sources(folder / "voices")
    manifest = manifest_for(voices, folder / "corpus")
    run_build(manifest, executor="direct")
    shutil.copytree(folder / "corpus", folder / "young")
    place = voices / "speaker-9"
    place.mkdir()
    soundfile.write(place / "late.wav", tone_bursts(9.0, RATE, 99), RATE)
    run_build(manifest, executor="direct", grow=True)
    return folder / "young", folder / "corpus"


def corpus_of(path):
    return published(CorpusView(str(path)))


class Recording(StorageTarget):
    """A target that notes what is put, and may break."""

    def __init__(self, address, breaks_after=None):
        super().__init__(address)
        self.names, self.left = [], breaks_after

    def put(self, corpus, pieces, what):
        for piece in pieces:
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise ConnectionError("the network is gone")
            super().put(corpus, [piece], what)
            self.names.append(piece.name)


def test_the_index_comes_last_and_a_sidecar_after_its_shard(grown, tmp_path):
    target = Recording(str(tmp_path / "out"))
    done = publish(corpus_of(grown[0]), target)
    assert target.names[-1] == "index.json"
    assert len(target.names) == done.files == done.uploaded
    for name in (n for n in target.names if n.endswith(".tar")):
        place = target.names.index(name)
        assert target.names[place : place + 3] == [name, name.replace(".tar", ".parquet"), name.replace(".tar", ".json")]
    assert not run_verify(open_storage(tmp_path / "out")).findings
    assert open_corpus(tmp_path / "out").samples("train")


@pytest.mark.parametrize("kind", ["nanio", "localbucket"])
def test_over_s3_it_resumes_and_growth_uploads_no_old_shard(grown, use, kind):  # noqa: F811
    _, bucket = use(kind)
    young, old = corpus_of(grown[0]), corpus_of(grown[1])
    broken = Recording(f"{bucket}/c", breaks_after=7)
    with pytest.raises(ConnectionError):
        publish(young, broken)
    assert broken.read("index.json") is None, "readers find no half corpus"
    again = Recording(f"{bucket}/c")
    done = publish(young, again)
    assert not set(broken.names[:6]) & set(again.names), "whole shards are not sent twice"
    assert done.uploaded == done.files - 6
    assert publish(young, open_target(f"{bucket}/c")).uploaded == 0
    target = Recording(f"{bucket}/c")
    done = publish(old, target)
    assert done.old_bytes > 0
    assert done.again_bytes == 0
    assert "0.0 % again" in done.text()
    assert target.names[-1] == "index.json"
    assert not run_verify(open_storage(f"{bucket}/c")).findings


def test_another_corpus_is_not_overwritten(grown, tmp_path):
    publish(corpus_of(grown[1]), open_target(str(tmp_path / "out")))
    with pytest.raises(UserError, match="holds another corpus"):
        publish(corpus_of(grown[0]), open_target(str(tmp_path / "out")))
    publish(corpus_of(grown[0]), open_target(str(tmp_path / "out")), replace=True)
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert len(index["generations"]) == 1


def test_an_unfinished_corpus_is_refused(grown, tmp_path):
    import shutil

    shutil.copytree(grown[0], tmp_path / "c")
    (tmp_path / "c/index.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        corpus_of(tmp_path / "c")
    assert targets.open_target(str(tmp_path)).where == str(tmp_path)
