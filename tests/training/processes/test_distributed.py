"""Several processes compute what one does, and when one is lost all end and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import yaml

from stylefx.training.processes.distributed import join, total
from tests.support.forked import child, free_port, status_of
from tests.training.conftest import go, losses, small

pytestmark = pytest.mark.xdist_group("distributed")


def torchrun(config, folder: Path, run: Path, *extra: str, processes: int = 2) -> subprocess.Popen:
    """The command a person would type."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["-m", "stylefx.cli", "train", str(path), "--out", str(run), *extra]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def children(pid: int) -> list[int]:
    """The processes that a process started (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return sorted(found)


def numbers(run: Path, kind: str, names: tuple[str, ...]) -> list[float]:
    return [dict(row)[n] for row in losses(run) if dict(row)["kind"] == kind for n in names]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the ranks in /proc")
def test_two_processes_equal_one_and_survive_the_loss_of_a_rank(corpus, tmp_path):
    """Same global batch: equal losses and metrics to float tolerance; a killed rank ends all, with a sentence; one process
    goes on where two stopped, and the whole still equals the undisturbed run of one process."""
    config = small(corpus, steps=24, checkpoints__every_steps=4, validation__every_steps=8, optimiser__learning_rate=3e-4)
    go(config, tmp_path / "one")
    process = torchrun(config, tmp_path, tmp_path / "two", "steps=400")
    journal, deadline = tmp_path / "two/metrics.jsonl", time.monotonic() + 150
    while time.monotonic() < deadline and (not journal.exists() or len(journal.read_text().splitlines()) < 10):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    ranks = children(process.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    output, _ = process.communicate(timeout=100)
    assert process.returncode != 0
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]
    assert "--resume" in output
    (tmp_path / "output").write_text(output)
    assert "error: rank 0 lost another rank" in output
    go(config, tmp_path / "two", resume=True)
    names = ("loss", "mr_stft", "l1", "gradient_norm")
    train = [numbers(tmp_path / run, "train", names) for run in ("one", "two")]
    assert train[1][: 3 * len(names)] == pytest.approx(train[0][: 3 * len(names)], rel=1e-3)
    # rounding grows from step to step; other samples would differ by half
    loss = [numbers(tmp_path / run, "train", ("loss",)) for run in ("one", "two")]
    assert loss[1] == pytest.approx(loss[0], rel=0.05)
    held_out = [numbers(tmp_path / run, "validation", ("mr_stft", "input_mr_stft")) for run in ("one", "two")]
    assert held_out[1][:2] == pytest.approx(held_out[0][:2], rel=1e-3)
    assert held_out[1] == pytest.approx(held_out[0], rel=0.02)


def test_restarted_ranks_find_each_other_and_not_those_before(tmp_path):
    """torchrun keeps its store over attempts: the addresses of ranks that are gone are still in it."""
    port = free_port()
    store = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)

    def meet(rank: int, attempt: int) -> None:
        os.environ.update(
            WORLD_SIZE="2", RANK=str(rank), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
            TORCHELASTIC_USE_AGENT_STORE="True", TORCHELASTIC_RESTART_COUNT=str(attempt),
        )  # fmt: skip
        with join("cpu", timeout_s=60) as place:
            assert total(torch.ones(1)).item() == 2
            assert place.rank == rank
            if attempt == 0:
                os._exit(9)  # as a killed rank does, without taking its address back

    for attempt, status in ((0, 9), (1, 0)):
        pids = [child(partial(meet, rank, attempt), tmp_path / f"log-{rank}") for rank in (0, 1)]
        assert [status_of(pid) for pid in pids] == [status, status], [p.read_text() for p in tmp_path.glob("log*")]
    assert store.num_keys() > 0
