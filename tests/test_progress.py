"""Long work says how far it is: bars on a terminal, a line now and then elsewhere, and never an escape code in a log."""

from __future__ import annotations

import io

import pytest

from pipelines.builder.progress import BuildProgress, Tally
from stylefx import progress as module
from stylefx.progress import Progress, duration, step_progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then_and_the_last_one(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    with step_progress("render", 100) as report:
        for done in range(1, 101):
            clock[0] += 1.0
            report(done, loss=0.5)
    lines = log.getvalue().splitlines()
    assert [line.partition("  ")[0] for line in lines] == [f"render: {n}/100" for n in (30, 60, 90, 100)]
    assert lines[0].endswith("loss 0.5  about 70 s left")


def test_a_terminal_gets_a_bar_and_lines_above_it_stay(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with Progress(terminal) as progress:
        progress.update("shards", 3, 7)
        progress.line("only for logs", now=True)
        progress.say("[a] worker died")
        progress.finish("shards", "done")
    text = terminal.getvalue()
    assert "shards" in text
    assert "3/7" in text
    assert "[a] worker died" in text
    assert "only for logs" not in text


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_stream_that_is_no_terminal_and_a_dumb_one_get_no_escape_codes(stream, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with Progress(stream) as progress:
        progress.update("shards", 3, 7)
        progress.say("worker died")
        progress.line("3 of 7", now=True)
    assert stream.getvalue() == "worker died\n3 of 7\n"


def test_the_rest_is_estimated_from_this_run_alone(clock):
    progress = Progress(io.StringIO())
    progress.update("training", 900, 1000)  # resumed there
    clock[0] = 10.0
    assert progress.left_s("training", 910, 1000) == 90.0
    assert [duration(s) for s in (90, 200, 7500)] == ["90 s", "3 min", "2 h 5 min"]


def test_a_build_shows_its_tally_as_lines_json_or_not_at_all(clock):
    shown = {}
    for mode in ("lines", "json", "quiet", "auto"):
        stream = io.StringIO()
        build = BuildProgress(mode, stream)
        build.start(Tally(3, 12, 0.1))
        build.update(Tally(3, 12, 0.1))
        build.say("a worker died")
        build.stop()
        shown[mode] = stream.getvalue().splitlines()
    assert shown["lines"] == shown["auto"] == ["0/3 shards, 0/12 samples", "a worker died"]
    assert [line[:21] for line in shown["json"]] == ['{"event": "progress",', '{"event": "message", ']
    assert shown["quiet"] == []


def test_a_long_verification_says_how_far_it_is(clock):
    log = io.StringIO()
    count = Progress(log).counter("shards checked", 200)
    for done in range(1, 201):
        clock[0] += 0.25
        count(done)
    assert log.getvalue() == "shards checked: 120 of 200\n"
