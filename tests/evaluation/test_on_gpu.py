"""An evaluation whose model is on a CUDA device: the numbers of the CPU, to rounding."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from stylefx.evaluation.cli import evaluate

pytestmark = pytest.mark.gpu


def test_the_numbers_of_the_cpu(checkpoint, corpus_path, tmp_path):
    found = {}
    for device in ("cpu", "cuda"):
        arguments = [checkpoint, corpus_path, "--items", 4, "--device", device, "--json", tmp_path / f"{device}.json"]
        result = CliRunner().invoke(evaluate, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        found[device] = json.loads((tmp_path / f"{device}.json").read_text())["results"]["systems"]
    for metric, value in found["cpu"]["model"].items():
        if value["mean"] is not None:
            assert found["cuda"]["model"][metric]["mean"] == pytest.approx(value["mean"], rel=1e-2, abs=1e-3), metric
