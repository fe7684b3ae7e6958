"""A corpus that moved is the same corpus when its digests are; and what starting reads is read by one rank."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import pytest

from stylefx.corpus.reader import Corpus
from stylefx.errors import UserError
from stylefx.training.cli import train
from stylefx.training.setup import evaluation_set, open_corpora
from tests.support.forked import ranks, status_of
from tests.support.http_corpus import served
from tests.support.stored_corpus import make_corpus
from tests.training.conftest import go, losses, small


def test_a_run_goes_on_where_its_corpus_moved_to(corpus, undisturbed, tmp_path, monkeypatch):
    """Staged to another folder, to a server, and under another spelling of its path."""
    pytest.importorskip("aiohttp")
    run = shutil.copytree(undisturbed, tmp_path / "run")
    staged = shutil.copytree(corpus, tmp_path / "staged")
    go(small(staged), run, resume=True, step=4)
    assert losses(run) == losses(undisturbed)
    monkeypatch.chdir(tmp_path)
    go(small(Path("./staged")), run, resume=True, step=4)
    assert losses(run) == losses(undisturbed)
    with served(staged) as (url, _):
        go(small(url, data__cache_dir=str(tmp_path / "cache")), run, resume=True, step=4)
    assert losses(run) == losses(undisturbed)


def test_other_shards_under_the_same_digest_are_another_corpus(corpus, undisturbed, tmp_path):
    other = shutil.copytree(corpus, tmp_path / "other")
    index = json.loads((other / "index.json").read_text())
    index["shards"][0]["sha256"] = "0" * 64
    (other / "index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="is not the corpus that the run began with"):
        go(small(other), undisturbed, resume=True)


def test_weights_of_corpora_may_not_change(corpus, undisturbed):
    weighted = small(corpus, data__corpora=[{"path": str(corpus), "weight": 2.0}])
    with pytest.raises(UserError, match=r"the run began with data\.corpora"):
        go(weighted, undisturbed, resume=True)


def test_the_tables_of_all_shards_are_read_by_the_first_rank_alone(tmp_path, monkeypatch):
    paths = [
        make_corpus(tmp_path / n, {"train": [3, 3], "val": [2]}, half_frames=20000, source=n, seed=s) for s, n in enumerate("ab")
    ]
    original = Corpus._rows_once

    def rows(self, shard, columns):
        with open(tmp_path / f"read-{os.environ.get('RANK', '0')}", "a") as log:
            log.write(f"{shard.name} {len(columns)}\n")
        return original(self, shard, columns)

    monkeypatch.setattr(Corpus, "_rows_once", rows)
    config = small(paths[0], data__corpora=[str(p) for p in paths], steps=1, validation__every_steps=1)
    pids = ranks(lambda rank: go(config, tmp_path / "run"), tmp_path / "log")
    assert [status_of(pid) for pid in pids] == [0, 0], [p.read_text() for p in tmp_path.glob("log*")]
    assert not (tmp_path / "read-1").exists()
    lines = (tmp_path / "read-0").read_text().splitlines()
    assert len(lines) == 2 + 4  # the held-out tables once, of the others the groups
    assert sum(line.endswith(" 2") for line in lines) == 4


def test_what_the_first_rank_chooses_is_what_each_would(corpus):
    config = small(corpus, validation__samples=3)
    whole = evaluation_set(small(corpus), open_corpora(config))
    some = evaluation_set(config, open_corpora(config))
    assert [ref for _, ref in some.refs] == [ref for _, ref in whole.refs[:3]]
    assert sorted(ref.key for _, ref in whole.refs) == sorted(ref.key for ref in whole.refs[0][0].samples("val"))


@pytest.mark.parametrize(("words", "wanted"), [
    (["c.yaml", "--resume"], "newest"), (["--resume", "c.yaml"], "newest"), (["c.yaml", "--resume", "40"], "40"),
    (["c.yaml", "--resume=40"], "40"), (["c.yaml", "--resume", "steps=3"], "newest"), (["c.yaml"], None),
])  # fmt: skip
def test_resume_takes_a_step_and_nothing_else_that_follows(words, wanted):
    context = train.make_context("train", list(words))
    assert context.params["resume"] == wanted
    assert str(context.params["config"]) == "c.yaml"
    with pytest.raises(click.BadParameter, match="is no step"):
        train.make_context("train", ["c.yaml", "--resume=last"])
