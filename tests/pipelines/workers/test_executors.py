"""Child processes as executors: results, deaths and kills are reported; nothing is left behind."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pipelines.shards.task import ShardTask
from pipelines.workers.open import open_executor
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


def test_an_address_where_nobody_listens_ends_in_a_sentence_and_not_in_minutes(monkeypatch):
    """Ray itself would wait for more than seven."""
    import socket

    from pipelines.workers import runtime

    monkeypatch.setattr(runtime, "_LISTEN_S", 2.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        for address in (place, f"ray://{place}"):
            started = time.monotonic()
            with pytest.raises(
                IncompleteError, match=f"no Ray cluster answers at --address {address}: Connection refused; start"
            ):
                runtime.connect(None, address)
            assert time.monotonic() - started < 15
    assert runtime._LISTEN_S + runtime._CONNECT_S < 30


@pytest.mark.parametrize(
    ("kind", "address", "named", "used"),
    [
        ("auto", None, "10.0.0.1:6379", "10.0.0.1:6379"),
        ("ray", None, "10.0.0.1:6379", "10.0.0.1:6379"),
        ("inline", None, "10.0.0.1:6379", None),
        ("auto", "local", "10.0.0.1:6379", None),
        ("auto", "other:1", "10.0.0.1:6379", None),
        ("auto", None, "", None),
        ("auto", None, "local", None),
    ],
)
def test_the_cluster_that_ray_job_submit_names_is_used_unless_the_command_line_says_otherwise(
    monkeypatch, kind, address, named, used
):
    from pipelines.workers.runtime import address_from_environment

    monkeypatch.setenv("RAY_ADDRESS", named)
    assert address_from_environment(kind, address) == used


def test_a_build_says_which_cluster_the_environment_named(monkeypatch, tmp_path):
    from click.testing import CliRunner

    from pipelines.cli.main import cli
    from pipelines.workers import runtime

    monkeypatch.setattr(runtime, "_LISTEN_S", 0.0)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text("{name: t, output: o, sources: [{name: s, path: '.'}]}")
    done = CliRunner().invoke(cli, ["build", "m.yaml"])
    assert "using the Ray cluster that RAY_ADDRESS names: 127.0.0.1:1" in done.output
    assert isinstance(done.exception, IncompleteError)


def test_a_private_ray_that_does_not_start_ends_in_a_sentence_and_can_be_resumed(monkeypatch):
    import ray

    from pipelines.workers.ray import RayExecutor

    tried = []

    def refuse(**_options):
        tried.append(1)
        raise Exception("the node timed out during startup\nand a long story")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(
        IncompleteError, match=r"did not start .*\(the node timed out during startup\); run the same command again$"
    ):
        RayExecutor(lambda task: {}, 1, None)
    assert len(tried) == 2
