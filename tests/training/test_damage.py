"""Damaged data: one sample stops a run unless a share may be passed over; what is passed over is named and the same for all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import EvaluationLoader, TrainingLoader
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.tolerance import Tolerance
from stylefx.errors import DamageError
from stylefx.training.setup import evaluation_set
from tests.support.forked import ranks, status_of
from tests.training.conftest import go, losses, small


@pytest.fixture
def damaged(corpus, tmp_path) -> tuple[Path, str]:
    """A corpus of eleven training samples of which one cannot be decoded, and its key."""
    path = shutil.copytree(corpus, tmp_path / "c")
    ref = open_corpus(path).samples("train")[4]
    with open(path / f"{ref.shard}.tar", "r+b") as file:
        for half in ("a", "b"):
            file.seek(ref.members[f"{half}.target.flac"][0])
            file.write(bytes(100))
    return path, ref.key


def test_by_default_the_first_damaged_sample_stops_the_run_by_name(damaged, tmp_path):
    path, key = damaged
    with pytest.raises(DamageError, match=f"is damaged at {key}") as error:
        go(small(path, steps=20), tmp_path / "run")
    assert error.value.exit_status == 4


def test_a_share_is_passed_over_counted_named_and_the_same_after_a_resume(damaged, tmp_path):
    path, key = damaged
    config = small(path, data__max_damaged_share=0.1)
    said = go(config, tmp_path / "whole")
    assert sum(f"passed over {key}: " in line for line in said) == 1
    assert any("1 damaged samples so far, of 11" in line for line in said)
    state = json.loads((tmp_path / "whole/checkpoints/step-00000006/state.json").read_text())
    assert state["damaged"] == [key]
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    go(config, tmp_path / "run", resume=True, step=4)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_damage_that_reading_processes_meet_is_recorded_like_that_of_threads(damaged, tmp_path):
    path, key = damaged
    for name, processes in (("threads", 0), ("processes", 2)):
        said = go(small(path, data__max_damaged_share=0.1, data__reader_processes=processes), tmp_path / name)
        assert sum(f"passed over {key}: " in line for line in said) == 1
        state = json.loads((tmp_path / name / "checkpoints/step-00000006/state.json").read_text())
        assert state["damaged"] == [key]
    assert losses(tmp_path / "threads") == losses(tmp_path / "processes")


def test_more_than_the_share_stops_the_run(corpus, tmp_path, monkeypatch):
    """Values that are not finite are damage too."""
    bad = {ref.key for ref in open_corpus(corpus).samples("train")[3:6]}
    original = TrainingSet.read

    def read(self, item):
        audio, marks = original(self, item)
        if item.ref.key in bad:
            audio["target"][0, 5::9] = np.nan
        return audio, marks

    monkeypatch.setattr(TrainingSet, "read", read)
    with pytest.raises(
        DamageError, match=r"3 of 11 samples are damaged, more than data.max_damaged_share 0.2; the last one: .*not finite"
    ):
        go(small(corpus, steps=20, data__max_damaged_share=0.2), tmp_path / "run")


def test_what_stands_in_for_a_damaged_sample_is_the_same_for_any_ranks(damaged):
    path, key = damaged
    read = {}
    for world in (1, 2):
        data = TrainingSet([open_corpus(path)], seed=3, window=1)
        parts = [
            list(TrainingLoader(data, micro=4 // world, rank=rank, world=world, stop_step=6, tolerance=Tolerance(0.5, 11)))
            for rank in range(world)
        ]
        read[world] = [key for step in zip(*parts, strict=True) for batch in step for key in batch.keys]
    assert read[1] == read[2]
    assert key not in read[1]


def test_ranks_count_their_damage_together(corpus, tmp_path, monkeypatch):
    """Each of two ranks meets fewer than the limit, both together more."""
    original = TrainingSet.read
    bad = {ref.key for ref in open_corpus(corpus).samples("train")[:4]}

    def read(self, item):
        if item.ref.key in bad:
            raise DamageError(f"{item.ref.key} is damaged")
        return original(self, item)

    monkeypatch.setattr(TrainingSet, "read", read)
    config = small(corpus, steps=30, data__max_damaged_share=0.3, validation__every_steps=30)
    pids = ranks(lambda rank: go(config, tmp_path / "run"), tmp_path / "log")
    assert [status_of(pid) for pid in pids] == [4, 4]
    assert "4 of 11 samples are damaged" in (tmp_path / "log-0").read_text()


def test_a_damaged_held_out_sample_does_not_count(corpus, tmp_path):
    path = shutil.copytree(corpus, tmp_path / "c")
    config = small(path, data__max_damaged_share=0.1)
    data = evaluation_set(config, [open_corpus(path)])
    ref = data.refs[2][1]
    with open(path / f"{ref.shard}.tar", "r+b") as file:
        file.seek(ref.members["a.input.flac"][0])
        file.write(bytes(100))
    valid = [batch.valid.tolist() for batch in EvaluationLoader(data, batch=2, workers=0, tolerance=Tolerance(0.1, 5))]
    assert valid == [[1, 1], [0, 1], [1, 0]]
    with pytest.raises(DamageError):
        list(EvaluationLoader(data, batch=2, workers=0))
