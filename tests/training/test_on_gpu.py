"""Training on a CUDA device: the same run as on the CPU, to rounding."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist

from stylefx.corpus.batch import Batch
from stylefx.models.checkpoint import load_model
from stylefx.training.loop.step import pinned
from stylefx.training.loop.upload import Uploads
from stylefx.training.processes.distributed import join
from tests.support.plain_cpu import plain_cpu
from tests.training.conftest import go, losses, small

pytestmark = pytest.mark.gpu


def column(run, name):
    return [dict(row)[name] for row in losses(run) if dict(row)["kind"] == "train"]


@pytest.fixture(scope="module")
def on_cpu(corpus, tmp_path_factory):
    run = tmp_path_factory.mktemp("cpu") / "run"
    with plain_cpu():
        go(small(corpus, steps=4), run)
    return run


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_run_has_the_losses_that_it_has_on_the_cpu(corpus, on_cpu, tmp_path, precision):
    go(small(corpus, steps=4, device="cuda", precision=precision), tmp_path / "run")
    within = 2e-3 if precision == "float32" else 3e-2  # convolutions round to TF32 or bfloat16
    for name in ("loss", "mr_stft", "l1"):
        ours, plain = column(tmp_path / "run", name), column(on_cpu, name)
        assert ours[0] == pytest.approx(plain[0], rel=within)
        assert ours == pytest.approx(plain, rel=10 * within)  # rounding grows from step to step
    assert all(p.device.type == "cpu" for p in load_model(tmp_path / "run").parameters())


def test_a_resumed_run_goes_on(corpus, tmp_path):
    go(small(corpus, steps=4, device="cuda"), tmp_path / "whole")
    go(small(corpus, steps=2, device="cuda"), tmp_path / "parts")
    go(small(corpus, steps=4, device="cuda"), tmp_path / "parts", resume=True)
    assert column(tmp_path / "parts", "loss") == pytest.approx(column(tmp_path / "whole", "loss"), rel=1e-2)


def test_micro_batches_and_moving_average_and_the_paper_s_encoder(corpus, tmp_path):
    changes = {"optimiser__ema_decay": 0.99, "micro_batch": 2, "model__encoder": {"name": "paper-b2"}}
    go(small(corpus, steps=2, device="cuda", **changes), tmp_path / "run")
    assert all(value < 1e3 for value in column(tmp_path / "run", "loss"))


def test_one_rank_through_nccl(corpus, on_cpu, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with join("cuda"):
        assert dist.get_backend() == "nccl"
        flag = torch.ones(1, device="cuda")
        dist.all_reduce(flag)
        go(small(corpus, steps=2, device="cuda"), tmp_path / "run")
    assert flag.item() == 1.0
    assert column(tmp_path / "run", "loss") == pytest.approx(column(on_cpu, "loss")[:2], rel=1e-2)


def test_compilation_changes_no_loss(corpus, tmp_path):
    for name, compiled in (("plain", False), ("compiled", True)):
        go(small(corpus, steps=2, device="cuda", compile=compiled), tmp_path / name)
    assert column(tmp_path / "compiled", "loss") == pytest.approx(column(tmp_path / "plain", "loss"), rel=1e-2)


def test_recorded_passes_are_the_launched_ones(corpus, tmp_path):
    """In one pass and in several, and the run says so where a step cannot be recorded: here nothing is said."""
    found = {}
    for graphs in (True, False):
        for micro in (4, 2):
            run = tmp_path / f"{graphs}{micro}"
            said = go(small(corpus, steps=3, device="cuda", cuda_graphs=graphs, micro_batch=micro), run)
            assert not [line for line in said if "CUDA graph" in line]
            found[graphs, micro] = column(run, "gradient_norm")
    for micro in (4, 2):
        assert found[True, micro] == pytest.approx(found[False, micro], rel=2e-2)


def test_batches_that_are_copied_ahead_arrive_whole():
    """The copying stream's memory is used again only when the computing one, kept busy here, is done with it."""
    device = torch.device("cuda")
    uploads, busy = Uploads(device), torch.randn(2048, 2048, device=device)
    plain = [{name: pinned((4, 1, 65536)) for name in ("input", "target", "reference")} for _ in range(12)]
    for i, arrays in enumerate(plain):
        for j, array in enumerate(arrays.values()):
            array[:] = 10 * i + j
    batches = [Batch([""] * 4, [0] * 4, np.ones(4, np.float32), **arrays) for arrays in plain]
    uploads.start(batches[0])
    sums = []
    for i, batch in enumerate(batches):
        audio = uploads.take(batch)
        if i + 1 < len(batches):
            uploads.start(batches[i + 1])
        for _ in range(20):
            busy = busy @ busy / busy.norm()
        sums.append(torch.stack([audio[name].double().mean() for name in ("input", "target", "reference")]))
        del audio
    assert torch.stack(sums).cpu().tolist() == [[10 * i, 10 * i + 1, 10 * i + 2] for i in range(len(batches))]
    torch.testing.assert_close(uploads.take(batches[0])["target"].cpu(), torch.from_numpy(plain[0]["target"]))  # not started
