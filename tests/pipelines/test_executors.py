"""Child processes as executors: results, deaths and kills are reported; nothing is left behind."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pipelines.executors import ShardTask, open_executor
from stylefx.errors import IncompleteError, UserError


def task(number: int) -> ShardTask:
    return ShardTask("out", "{}", number, f"train/train-{number:06d}", 0, "", "", "", "builder")


def work(given: ShardTask) -> dict:
    if given.number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if given.number == 2:
        raise ValueError("unexpected")
    if given.number == 3:
        time.sleep(600)
    return {"number": given.number, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}


def collect(executor, count: int) -> dict:
    out, deadline = {}, time.monotonic() + 60
    while len(out) < count:
        assert time.monotonic() < deadline
        out |= {o.task.number: o for o in executor.wait(1.0)}
    return out


def test_reports_deaths_errors_and_kills():
    before = dict(os.environ)
    executor = open_executor("inline", work, 4)
    try:
        for number in range(4):
            executor.submit(task(number))
        found = collect(executor, 3)
        assert found[0].report["number"] == 0
        assert found[0].report["pid"] != os.getpid()
        assert found[0].report["threads"] == "1"
        assert "SIGSEGV" in found[1].died
        assert found[2].problem["kind"] == "internal"
        assert "ValueError: unexpected" in found[2].problem["traceback"]
        executor.cancel(task(3))
        assert "SIGKILL" in collect(executor, 1)[3].died
        executor.submit(task(0))  # goes on after all that
        assert collect(executor, 1)[0].report["number"] == 0
    finally:
        executor.close()
    assert dict(os.environ) == before


def test_closing_kills_what_runs():
    executor = open_executor("inline", work, 1)
    executor.submit(task(3))
    process = executor._children[0].process
    started = time.monotonic()
    executor.close()
    assert not process.is_alive()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("threads", work, 1), "there is no executor 'threads'"),
        (("inline", work, 1, "auto"), "--address auto needs --executor ray"),
    ],
)
def test_wrong_choices_are_sentences(arguments, message):
    with pytest.raises(UserError, match=message):
        open_executor(*arguments)


def test_a_private_ray_that_does_not_start_ends_in_a_sentence_and_can_be_resumed(monkeypatch):
    import ray

    from pipelines.executors_ray import RayExecutor

    def refuse(**_options):
        raise RuntimeError("the node timed out during startup\nand a long story")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(
        IncompleteError, match=r"did not start .*\(the node timed out during startup\); run the same command again$"
    ):
        RayExecutor(lambda task: {}, 1, None)
