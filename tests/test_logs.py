"""What a terminal sees, the logger ``stylefx`` sees too; without a handler nothing is printed twice."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest

from pipelines.builder.progress import BuildProgress, Tally
from stylefx.command_line import LazyGroup, run
from stylefx.errors import IncompleteError
from stylefx.logs import logged


@pytest.mark.parametrize("mode", ["lines", "json", "quiet"])
def test_what_a_build_says_is_logged_in_every_mode(mode, caplog):
    with caplog.at_level(logging.INFO, "stylefx"):
        BuildProgress(mode, io.StringIO()).say("train/train-000001: a worker died")
    assert caplog.messages == ["train/train-000001: a worker died"]


def test_lines_of_progress_are_logged(caplog):
    with caplog.at_level(logging.INFO, "stylefx"):
        BuildProgress("lines", io.StringIO()).update(Tally(3, 12, 0.1), force=True)
    assert caplog.messages == ["0/3 shards, 0/12 samples"]


def test_lines_of_training_are_said_and_logged(caplog):
    said = []
    with caplog.at_level(logging.INFO, "stylefx"):
        logged(said.append)("step 20/100  loss 0.5 %")
    assert said == caplog.messages == ["step 20/100  loss 0.5 %"]


def test_the_sentence_that_ends_a_command_is_logged_as_an_error(caplog, capsys):
    group = LazyGroup("g")

    @group.command()
    def fail() -> None:
        raise IncompleteError("the disk is full; make room")

    group.get_command = lambda ctx, name: fail
    with pytest.raises(SystemExit) as stopped:
        run(group, ["fail"])
    assert stopped.value.code == 3
    assert [(r.levelname, r.message) for r in caplog.records] == [("ERROR", "the disk is full; make room")]
    assert capsys.readouterr().err == "error: the disk is full; make room\n"


def test_without_a_handler_of_the_users_nothing_is_printed():
    code = "from stylefx.logs import logger; logger.error('twice')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""
