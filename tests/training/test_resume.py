"""Whatever stops a run, going on gives the losses of a run that was never disturbed, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from stylefx.errors import Interrupted, UserError
from stylefx.training.loop import held_out
from stylefx.training.loop import trainer as trainer_module
from stylefx.training.loop.validation import ValidationReport
from tests.support.stored_corpus import sample_members, write_shard
from tests.training.conftest import go, losses, small


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_stopping_by_signal_and_resuming_is_bit_identical(corpus, undisturbed, tmp_path, monkeypatch, stop_after):
    def rate(step, *args, original=trainer_module.learning_rate):
        if step == stop_after - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(step, *args)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "learning_rate", rate)
        with pytest.raises(Interrupted, match=rf"after step {stop_after} of 6.*--resume") as stopped:
            go(small(corpus), tmp_path / "run")
    assert stopped.value.exit_status == 130
    go(small(corpus, data__workers=0), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(undisturbed)


def test_a_run_goes_on_with_any_number_of_reading_processes(corpus, undisturbed, tmp_path, monkeypatch):
    def rate(step, *args, original=trainer_module.learning_rate):
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return original(step, *args)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "learning_rate", rate)
        with pytest.raises(Interrupted, match=r"after step 4 of 6"):
            go(small(corpus, data__reader_processes=2), tmp_path / "run")
    go(small(corpus, data__reader_processes=1), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(undisturbed)


def test_kill_9_in_the_middle_and_resuming_is_bit_identical(corpus, tmp_path):
    """A process of its own, killed while it trains; it goes on from its last checkpoint."""
    config = small(corpus, steps=40, validation__every_steps=40, checkpoints__every_steps=3)
    go(config, tmp_path / "whole")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [
        sys.executable,
        "-m",
        "stylefx.cli",
        "train",
        str(tmp_path / "config.yaml"),
        "--out",
        str(tmp_path / "run"),
        "--resume",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    journal = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and (not journal.exists() or len(journal.read_text().splitlines()) < 8):
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL, process.stderr.read()
    written = len(losses(tmp_path / "run"))
    assert 0 < written < 40
    go(config, tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_checkpoint_left_half_written_is_ignored_and_removed(corpus, undisturbed, tmp_path):
    run = tmp_path / "run"
    go(small(corpus, steps=4), run)
    (run / "checkpoints/.step-00000009.1.tmp").mkdir()
    for step in (5, 7):  # renamed, but killed before last.json pointed to it
        (run / f"checkpoints/step-0000000{step}").mkdir()
    with open(run / "metrics.jsonl", "a") as f:
        f.write('{"kind": "train", "step": 5, "loss": 1')
    go(small(corpus, checkpoints__keep_last=1, checkpoints__every_steps=1), run, resume=True)
    assert losses(run)[-1] == losses(undisturbed)[-1]
    assert not list((run / "checkpoints").glob(".step*"))
    assert json.loads((run / "checkpoints/last.json").read_text())["checkpoint"] == "step-00000006"


def test_averaged_weights_survive_a_resume(corpus, tmp_path):
    config = small(corpus, optimiser__ema_decay=0.9)
    go(config, tmp_path / "whole")
    go(small(corpus, optimiser__ema_decay=0.9, steps=6, checkpoints__every_steps=3), tmp_path / "run")
    go(config, tmp_path / "run", resume=True, step=3)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_the_newest_and_the_best_are_kept(corpus, tmp_path, monkeypatch):
    values = iter([3.0, 1.0, 2.0, 4.0, 5.0, 6.0])

    def fake(*args):
        metrics = dict.fromkeys(("loss", "l1", "input_mr_stft", "mr_stft_ratio"), 1.0)
        return ValidationReport(metrics | {"mr_stft": next(values)}, torch.zeros(0))

    monkeypatch.setattr(held_out, "validate", fake)
    go(small(corpus, validation__every_steps=1, checkpoints__every_steps=1, checkpoints__keep_last=2), tmp_path / "run")
    kept = sorted(p.name for p in (tmp_path / "run/checkpoints").glob("step-*"))
    assert kept == ["step-00000002", "step-00000005", "step-00000006"]
    assert json.loads((tmp_path / "run/checkpoints/best.json").read_text())["checkpoint"] == "step-00000002"


@pytest.mark.parametrize(("change", "named"), [
    ({"global_batch": 2}, "global_batch"), ({"seed": 4}, "seed"), ({"data__crop_samples": None}, "crop_samples"),
    ({"model__controller": {"hidden": 32}}, "model"),
])  # fmt: skip
def test_a_resumed_run_may_not_change_what_decides_the_result(corpus, undisturbed, change, named):
    with pytest.raises(UserError, match=rf"the run began with .*{named}"):
        go(small(corpus, **change), undisturbed, resume=True)


def test_another_corpus_under_the_same_name_is_refused(corpus, undisturbed, tmp_path):
    index = Path(corpus, "index.json")
    text = index.read_text()
    try:
        index.write_text(text.replace("digest-0", "digest-x"))
        with pytest.raises(UserError, match="not the corpus that the run began with"):
            go(small(corpus), undisturbed, resume=True)
    finally:
        index.write_text(text)


def test_a_corpus_that_grew_is_read_as_it_was_when_the_run_began(corpus, tmp_path):
    grown = shutil.copytree(corpus, tmp_path / "c")
    go(small(grown), tmp_path / "whole")
    go(small(grown), tmp_path / "run")
    index = json.loads((grown / "index.json").read_text())
    rng = np.random.default_rng(9)
    samples = [(f"new-{i:016x}-00000", sample_members(rng, "new", 20000, 24000, 1, True, "flac")) for i in range(3)]
    index["shards"].append(write_shard(grown, "train/train-000009", samples) | {"generation": 1})
    index["generations"].append({"number": 1, "digest": "digest-1"})
    (grown / "index.json").write_text(json.dumps(index))
    go(small(grown), tmp_path / "run", resume=True, step=4)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert any("14 training samples" in line for line in go(small(grown, steps=1), tmp_path / "new"))


def test_a_second_start_does_not_overwrite_a_run(corpus, undisturbed):
    with pytest.raises(UserError, match=r"holds a run already; go on with --resume"):
        go(small(corpus), undisturbed)


def test_nothing_in_a_checkpoint_is_pickled(undisturbed):
    files = [p for p in (undisturbed / "checkpoints").rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".json", ".safetensors"}
