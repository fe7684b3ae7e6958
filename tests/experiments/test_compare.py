"""stylefx compare-strategies: the table, the picture, what an interruption leaves, what is measured again."""

from __future__ import annotations

import json
import os
import re
import signal

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from stylefx.cli import cli
from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import Interrupted
from stylefx.experiments import compare as module
from stylefx.experiments.comparison_report import at, cosine
from stylefx.experiments.measure import measure
from stylefx.strategies.proxy import Proxy, save_proxy
from tests.support.stored_corpus import make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", {"train": [4], "val": [3]}, half_frames=6000, dry=True)


@pytest.fixture(scope="module")
def proxies(corpus, tmp_path_factory):
    rate = json.loads((corpus / "index.json").read_text())["sample_rate"]
    torch.manual_seed(0)
    paths = []
    for slot in deepafx_st_chain().slots:
        path = tmp_path_factory.mktemp("proxies") / slot.effect.name
        error = {"mr_stft": 0.5, "input_mr_stft": 1.0, "relative_rms_db": -9.0, "input_relative_rms_db": -2.0}
        save_proxy(Proxy(EffectChain((slot,)), rate, {"blocks": 2, "width": 4}), path, {"held_out": error})
        paths += ["--proxy", str(path)]
    return paths


@pytest.fixture
def here(monkeypatch):
    """Measured in this process, which saves the seconds of starting others; keeps the order of what was measured."""
    measured = []

    def in_this_process(name, comparison, seconds):
        measured.append(name)
        return measure(name, comparison, seconds)

    monkeypatch.setattr(module, "_in_a_process", in_this_process)
    return measured


def run(corpus, out, *more):
    arguments = ["compare-strategies", str(corpus), "-o", str(out), "--steps", "2", "--batch", "2", "--frames", "4096"]
    return CliRunner().invoke(cli, [*arguments, "--items", "2", "--width", "4", *more])


def test_all_strategies_have_a_row_and_a_second_run_measures_nothing_again(corpus, proxies, here, tmp_path):
    every = ["--strategies", "ad,spsa,np,np-hh,np-fh,ctcn1,ctcn2", *proxies]
    result = run(corpus, tmp_path, *every)
    assert result.exit_code == 0, result.output
    rows = {m[0]: m[1] for m in re.findall(r"^\| ([a-z0-9-]+) \|(.*)$", (tmp_path / "comparison.md").read_text(), re.MULTILINE)}
    assert list(rows)[1:8] == ["ad", "spsa", "np", "np-hh", "np-fh", "ctcn1", "ctcn2"]
    assert rows["ad"].startswith(" 1.000 (1.000 / 1.000)")
    assert "without meaning" in rows["ctcn1"]
    assert "| compressor | 0.500 | 1.000 | -9.0 dB | -2.0 dB |" in result.output
    assert (tmp_path / "comparison.png").stat().st_size > 10_000
    found = json.loads((tmp_path / "comparison.json").read_text())["results"]
    assert found["ctcn1"]["share_after_steps"] == pytest.approx(1.0, abs=0.2)  # it starts as the identity
    assert found["np"]["cosine"] == found["np-hh"]["cosine"] != found["np-fh"]["cosine"]

    assert len(here) == 7
    assert run(corpus, tmp_path, *every).exit_code == 0
    assert len(here) == 7
    assert run(corpus, tmp_path, "--strategies", "ctcn1", "--seed", "1").exit_code == 0
    assert here[7:] == ["ad", "ctcn1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_was_measured(number, corpus, tmp_path, monkeypatch):
    def first_only(name, comparison, seconds):
        if name == "spsa":
            os.kill(os.getpid(), number)
        return measure(name, comparison, seconds)

    monkeypatch.setattr(module, "_in_a_process", first_only)
    result = run(corpus, tmp_path, "--strategies", "ad,spsa")
    assert isinstance(result.exception, Interrupted)
    assert result.exception.exit_status == 128 + number
    assert "stopped at spsa" in str(result.exception)
    assert "| ad | 1.000" in (tmp_path / "comparison.md").read_text()


def test_a_strategy_is_measured_in_a_process_of_its_own_and_its_mistakes_come_back(corpus, tmp_path):
    result = run(corpus, tmp_path, "--strategies", "ad", "--encoder", "tinny")
    assert "tinny" in str(result.exception)


def test_cosine_and_interpolation_are_right():
    a = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    b = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    assert cosine(a, b) == pytest.approx(np.sqrt(0.5))
    curve = [[0, 0.0, 1.0], [10, 5.0, 0.5]]
    assert at(curve, 0, 5) == pytest.approx(0.75)
    assert at(curve, 1, 99.0) == 0.5
