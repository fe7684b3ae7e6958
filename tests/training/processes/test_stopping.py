"""A stop is obeyed at once, whatever the run is doing, and costs nothing: what follows equals a run that was never stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from stylefx.corpus.dataset import EvaluationSet, TrainingSet
from stylefx.errors import Interrupted
from stylefx.training.loop import feed
from stylefx.training.loop import trainer as trainer_module
from stylefx.training.loop.held_out import batch_statistics
from stylefx.training.processes.interrupt import StopRequest
from tests.support.forked import child, ranks, status_of, wait_until
from tests.training.conftest import go, losses, small

pytestmark = pytest.mark.xdist_group("distributed")


def saved(run: Path) -> list[int]:
    return sorted(int(p.name[5:]) for p in (run / "checkpoints").glob("step-*"))


def at_step(monkeypatch, step: int, act) -> None:
    """Act when a step begins."""

    def rate(now, *args, original=trainer_module.learning_rate):
        if now == step:
            act()
        return original(now, *args)

    monkeypatch.setattr(trainer_module, "learning_rate", rate)


def raised(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_stop_before_a_validation_saves_and_leaves_without_validating(corpus, undisturbed, tmp_path, monkeypatch, name):
    """However often it comes: schedulers send it to the job and through its launcher."""
    read, validated = EvaluationSet.read, []
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: [raised(getattr(signal, name)) for _ in range(3)])
        patch.setattr(EvaluationSet, "read", lambda self, index: validated.append(index) or read(self, index))
        with pytest.raises(Interrupted, match="after step 3 of 6, state saved") as stopped:
            go(small(corpus), tmp_path / "run")
    assert stopped.value.exit_status == 143
    assert not validated
    assert saved(tmp_path / "run")[-1] == 3
    go(small(corpus), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(undisturbed)
    best = [(run / "checkpoints/best.json").read_bytes() for run in (tmp_path / "run", undisturbed)]
    assert best[0] == best[1]


@pytest.mark.parametrize("last", [False, True])
def test_a_stop_inside_a_validation_ends_it_and_it_is_made_again(corpus, undisturbed, tmp_path, monkeypatch, last):
    read, seen = EvaluationSet.read, []

    def stopping(self, index):
        seen.append(index)
        if len(seen) == (9 if last else 2):
            raised()
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationSet, "read", stopping)
        with pytest.raises(Interrupted, match=f"after step {6 if last else 3} of 6") as stopped:
            go(small(corpus, data__workers=0), tmp_path / "run")
    assert stopped.value.exit_status == 143
    assert saved(tmp_path / "run")[-1] == (6 if last else 3)
    go(small(corpus), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(undisturbed)


def test_a_stop_while_data_are_waited_for_gives_the_step_up(corpus, undisturbed, tmp_path, monkeypatch):
    """The store is away: what is saved is the state before the step, and the rest equals an undisturbed run."""
    read, back, waited = TrainingSet.read_sound, threading.Event(), []

    def away(self, position, tolerance):
        if position >= 9:  # inside the third batch of four
            back.wait(250)
            waited.append(position)
        return read(self, position, tolerance)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingSet, "read_sound", away)
        patch.setattr(feed, "GRACE_S", 0.3)
        at_step(patch, 2, lambda: threading.Timer(0.5, raised).start())
        with pytest.raises(Interrupted, match="after step 2 of 6"):
            go(small(corpus), tmp_path / "run")
    assert not waited  # it left while its readers hung
    back.set()
    assert saved(tmp_path / "run") == [2]
    go(small(corpus), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(undisturbed)


def test_a_stop_between_the_passes_of_a_long_step_gives_the_step_up(corpus, tmp_path, monkeypatch):
    config = small(corpus, micro_batch=1)
    go(config, tmp_path / "whole")
    prepare, calls = trainer_module.Trainer._prepare, []

    def slowly(self, batch):
        calls.append(batch)
        if len(calls) == 6:
            raised()
        return prepare(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(feed, "GRACE_S", 0.0)
        patch.setattr(trainer_module.Trainer, "_prepare", slowly)
        with pytest.raises(Interrupted, match="after step 1 of 6"):
            go(config, tmp_path / "run")
    assert len(calls) == 6
    go(config, tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_batch_statistics_are_put_back_after_a_step_that_does_not_count():
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with batch_statistics(model) as put_back:
        model(torch.randn(8, 3))
        assert not torch.equal(model.state_dict()["0.running_mean"], before["0.running_mean"])
        put_back()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_stop_while_starting_ends_at_once(corpus, tmp_path, monkeypatch):
    def slow(*args):
        raised()
        time.sleep(60)

    monkeypatch.setattr(trainer_module, "open_corpora", slow)
    with pytest.raises(Interrupted, match="stopped while starting; nothing is lost") as stopped:
        go(small(corpus), tmp_path / "run")
    assert stopped.value.exit_status == 143


def test_a_second_ctrl_c_is_a_demand_and_an_echo_of_the_first_is_not():
    with StopRequest() as stop:
        raised(signal.SIGINT)
        raised(signal.SIGINT)
        assert stop.signal_number == signal.SIGINT
        stop.since_s -= 2
        with pytest.raises(KeyboardInterrupt):
            raised(signal.SIGINT)


def test_the_command_ends_with_143_although_a_reader_hangs(corpus, tmp_path, monkeypatch):
    """A reader that hangs in a foreign client keeps the process no longer than a moment."""
    import yaml

    from stylefx.cli import cli
    from stylefx.command_line import run

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(small(corpus).model_dump(mode="json")))
    marker = tmp_path / "hangs"

    def hang(self, item):
        marker.touch()
        time.sleep(300)

    monkeypatch.setattr(TrainingSet, "read", hang)
    monkeypatch.setattr(feed, "GRACE_S", 0.2)
    pid = child(lambda: run(cli, ["train", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]), tmp_path / "log")
    wait_until(marker.exists)
    os.kill(pid, signal.SIGTERM)
    assert status_of(pid, 60) == 143
    assert "error: stopped after step 0 of 6, state saved" in (tmp_path / "log").read_text()
    assert saved(tmp_path / "run") == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("waiting", [False, True])
def test_a_signal_to_one_rank_stops_all_at_the_same_step(corpus, tmp_path, monkeypatch, waiting):
    """Also where that rank waits for data meanwhile and the other waits for it."""
    read, calls = TrainingSet.read, []

    def away(self, item):
        calls.append(item)
        if waiting and len(calls) > 9 and os.environ["RANK"] == "1":
            (tmp_path / "waits").touch()
            time.sleep(300)
        return read(self, item)

    monkeypatch.setattr(TrainingSet, "read", away)
    monkeypatch.setattr(feed, "GRACE_S", 0.3)
    config, run = small(corpus, steps=4000, validation__every_steps=4000, checkpoints__every_steps=4000), tmp_path / "run"
    pids = ranks(lambda rank: go(config, run), tmp_path / "log")
    journal = run / "metrics.jsonl"
    wait_until((tmp_path / "waits").exists if waiting else lambda: journal.exists() and len(losses(run)) > 3)
    os.kill(pids[1], signal.SIGUSR1)
    assert [status_of(pid) for pid in pids] == [143, 143], [p.read_text() for p in tmp_path.glob("log*")]
    rows = [dict(row)["step"] for row in losses(run)]
    assert saved(run) == [rows[-1]]
    assert rows == list(range(1, rows[-1] + 1))
