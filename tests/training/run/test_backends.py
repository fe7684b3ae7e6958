"""Numbers of a run in the programs that people look at; their packages are optional and used offline."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from stylefx.errors import UserError
from stylefx.training.config import validate
from stylefx.training.run.backends import Guarded, flat
from tests.training.conftest import go, losses, small


def test_wandb_offline_has_the_numbers_and_a_resumed_run_goes_on_in_the_same(corpus, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    run = tmp_path / "run"
    go(small(corpus, steps=4, logging__backends=["wandb"]), run)
    identity = json.loads((run / "backends.json").read_text())["wandb"]
    go(small(corpus, steps=6, logging__backends=["wandb"]), run, resume=True)
    files = sorted(run.glob("wandb/offline-run-*/*.wandb"))
    assert {file.name for file in files} == {f"run-{identity}.wandb"}
    written = b"".join(file.read_bytes() for file in files)
    assert b"train/loss" in written
    rows = [dict(row) for row in losses(run)]
    for step in (2, 4, 6):
        [loss] = [row["loss"] for row in rows if row["kind"] == "train" and row["step"] == step]
        assert json.dumps(loss).encode() in written


def test_mlflow_has_the_numbers_and_a_resumed_run_goes_on_in_the_same(corpus, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = tmp_path / "run"
    go(small(corpus, steps=4, logging__backends=["mlflow"]), run)
    go(small(corpus, steps=6, logging__backends=["mlflow"]), run, resume=True)
    client = mlflow.MlflowClient(tracking_uri=(run / "mlruns").as_uri())
    [found] = client.search_runs([client.get_experiment_by_name("stylefx").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["optimiser.learning_rate"] == "0.001"
    want = {dict(row)["step"]: dict(row) for row in losses(run) if dict(row)["kind"] == "train"}
    history = {m.step: m.value for m in client.get_metric_history(found.info.run_id, "train/loss")}
    assert history == {step: pytest.approx(want[step]["loss"]) for step in (2, 4, 6)}
    assert client.get_metric_history(found.info.run_id, "validation/mr_stft")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_backend_that_is_not_installed_says_what_to_install(corpus, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        UserError, match=rf"logging.backends has '{name}', which is not installed .*pip install 'stylefx\[{name}\]'"
    ):
        go(small(corpus, logging__backends=[name]), tmp_path / "run")


def test_a_backend_that_fails_is_said_once_and_no_reason_to_stop():
    class Failing:
        calls = 0

        def scalars(self, kind, step, values) -> None:
            self.calls += 1
            raise ConnectionError("reset")

        def close(self) -> None:
            raise ConnectionError("reset")

    said: list[str] = []
    backend = Guarded("wandb", Failing(), said.append)
    for step in range(3):
        backend.scalars("train", step, {"loss": 1.0})
    backend.close()
    assert said == ["wandb takes no more (ConnectionError: reset); the run goes on without it"]
    assert backend.backend.calls == 1


def test_configurations_from_before_there_were_other_backends_are_read():
    data = {"steps": 1, "data": {"corpora": "a"}}
    assert validate(data, "x").logging.backends == ["tensorboard"]
    assert validate(data | {"logging": {"tensorboard": False}}, "x").logging.backends == []
    assert validate(data | {"logging": {"tensorboard": True}}, "x").logging.backends == ["tensorboard"]
    with pytest.raises(UserError, match="'tensorboard', 'wandb' or 'mlflow', got 'comet'"):
        validate(data | {"logging": {"backends": ["comet"]}}, "x")


def test_nested_settings_become_parameters():
    assert flat({"a": 1, "b": {"c": [2], "d": {"e": None}}}) == {"a": 1, "b.c": [2], "b.d.e": None}


def test_a_profile_of_some_steps_is_written(corpus, tmp_path):
    import gzip

    said = go(small(corpus, steps=4, profile={"steps": [2, 3]}), tmp_path / "run")
    path = Path(tmp_path / "run/profile/steps-2-3-rank-0.json.gz")
    assert any(str(path) in line for line in said)
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    assert sum("Optimizer.step" in e.get("name", "") for e in events if e.get("ph") == "X") == 2
    with pytest.raises(UserError, match=r"the first and the last one to profile"):
        small(corpus, profile={"steps": [3, 2]})
