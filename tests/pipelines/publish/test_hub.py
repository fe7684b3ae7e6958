"""A corpus on a hub, over the hub's own protocol by its own client: in order, resumed, grown."""

from __future__ import annotations

import json

import pytest

from pipelines.publish.hub import HubTarget
from pipelines.publish.run import publish
from stylefx.errors import IncompleteError, UserError
from tests.pipelines.publish.test_publish import corpus_of, grown  # noqa: F401
from tests.support.fake_hub import hub

pytest.importorskip("huggingface_hub")
NAME = "me/mine"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with hub() as (url, handler):
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # read once, when it is first imported
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub._commit_api.is_xet_available", lambda: False)
        monkeypatch.setattr(HubTarget, "batch", 2)
        yield handler


def target() -> HubTarget:
    return HubTarget(f"hf://datasets/{NAME}")


def test_it_goes_up_whole_with_the_index_in_the_last_commit(grown, server):  # noqa: F811
    corpus = corpus_of(grown[1])
    done = publish(corpus, target())
    assert done.uploaded == done.files
    assert server.repositories[NAME] == {p.name: corpus.read(p.name) for p in corpus.pieces}
    assert [names[-1] for _, names in server.commits][-1] == "index.json"
    assert all("index.json" not in names for _, names in server.commits[:-1])
    assert server.created[0]["type"] == "dataset"
    commits = len(server.commits)
    assert publish(corpus, target()).uploaded == 0
    assert len(server.commits) == commits


def test_what_is_there_by_its_digest_is_not_sent_again(grown, server):  # noqa: F811
    """Interrupted, and with a file that was damaged there."""
    corpus = corpus_of(grown[1])
    publish(corpus, target())
    files = server.repositories[NAME]
    tar, table = (next(name for name in files if name.endswith(end)) for end in (".tar", ".parquet"))
    del files["index.json"], files[tar]
    files[table] = bytes(len(files[table]))
    del server.commits[:]
    publish(corpus, target())
    assert {name for _, names in server.commits for name in names} == {tar, table, "index.json"}
    assert files == {p.name: corpus.read(p.name) for p in corpus.pieces}


def test_growth_sends_no_old_shard(grown, server):  # noqa: F811
    publish(corpus_of(grown[0]), target())
    del server.commits[:]
    done = publish(corpus_of(grown[1]), target())
    assert done.old_bytes > 0
    assert done.again_bytes == 0
    index = json.loads(server.repositories[NAME]["index.json"])
    assert len(index["generations"]) == 2


@pytest.mark.parametrize(
    ("status", "error", "words"), [(403, UserError, "set HF_TOKEN"), (409, IncompleteError, "goes on from here")]
)
def test_a_hub_that_refuses_is_a_sentence(grown, server, status, error, words):  # noqa: F811
    server.denied = status
    with pytest.raises(error, match=f"cannot upload to hf://datasets/{NAME}@main: .*{words}"):
        publish(corpus_of(grown[0]), target())
    server.denied = 0
    assert publish(corpus_of(grown[0]), target()).where == f"hf://datasets/{NAME}@main"
    assert "index.json" in server.repositories[NAME]
