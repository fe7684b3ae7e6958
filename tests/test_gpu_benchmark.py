"""The GPU benchmark loses nothing: what fails is written down and the next section runs, what no longer fits is named."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from benchmarks.gpu.clock import compare
from benchmarks.gpu.journal import Journal
from stylefx.errors import UserError

CPU = torch.device("cpu")


def test_a_section_that_fails_is_written_down_and_the_next_one_runs(tmp_path):
    journal = Journal(tmp_path, {"device": "none"}, budget=100.0)

    def broken(journal):
        journal.add("numbers", {"batch": 16, "ms": 1.25})
        raise ValueError("no such luck\nsecond line")

    journal.section("first", 0, broken)
    journal.section("second", 0, lambda j: j.add("numbers", {"batch": 64, "ms": 2.5e-7}))
    journal.section("third", 1e6, broken)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["tables"] == {"numbers": [{"batch": 16, "ms": 1.25}, {"batch": 64, "ms": 2.5e-7}]}
    assert found["notes"]["first"] == "ValueError: no such luck"
    assert "left out" in found["notes"]["third"]
    assert "Traceback" in (tmp_path / "gpu.log").read_text()
    text = (tmp_path / "gpu.md").read_text()
    assert "| 64 | 2.5e-07 |" in text
    assert "no such luck" in text
    again = Journal(tmp_path, {"device": "none"}, budget=100.0, continued=True)
    again.section("fourth", 0, lambda j: j.add("numbers", {"batch": 256, "ms": 3.0}))
    assert len(json.loads((tmp_path / "gpu.json").read_text())["tables"]["numbers"]) == 3


def test_a_contender_that_fails_does_not_end_the_comparison():
    turns = {"good": 0, "bad": 0}

    def call(name):
        turns[name] += 1
        if name == "bad":
            raise RuntimeError("out of luck")

    taken = compare({n: lambda n=n: call(n) for n in turns}, CPU, 5, lambda name, error: f"{name}: {error}")
    assert turns == {"good": 7, "bad": 1}  # two turns warm up
    assert taken["bad"].failed == "bad: out of luck"
    assert taken["good"].ms >= 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_in_a_sentence(tmp_path):
    from benchmarks.gpu.__main__ import main

    result = CliRunner().invoke(main, ["--out", str(tmp_path)], standalone_mode=False)
    assert isinstance(result.exception, UserError)
    assert "needs a CUDA GPU" in str(result.exception)
