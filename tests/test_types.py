"""Whoever calls the packages is checked against their annotations: they ship ``py.typed``, and the public API holds no Any."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CALLER = """
from typing import assert_type

import numpy as np

from pipelines.manifest.load import load_manifest
from pipelines.manifest.model import Manifest
from stylefx.corpus.reader import open_corpus
from stylefx.effects.chain import EffectChain
from stylefx.effects.presets import deepafx_st_chain

chain = deepafx_st_chain()
assert_type(chain, EffectChain)
assert_type(chain.num_controls, int)
assert_type(open_corpus("corpus").half_frames, int)
manifest = load_manifest("manifest.yaml", ["seed=1"])
assert_type(manifest, Manifest)
assert_type(manifest.segment.sample_rate, int)
audio: np.ndarray = chain.render(np.zeros((1, 64), np.float32), None, 48000)
"""

MISTAKES = """
from pipelines.manifest.model import Segment
from stylefx.corpus.reader import open_corpus
from stylefx.effects.presets import deepafx_st_chain

deepafx_st_chain(1)
deepafx_st_chain().render("audio", None, 48000)
open_corpus("corpus").samples(split=3)
Segment(secons=1.0)
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory) -> dict[str, list[int]]:
    """Lines that mypy refuses in two modules outside the checkout, which find the packages as an installed one is found."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "caller.py").write_text(CALLER.lstrip())
    (folder / "mistakes.py").write_text(MISTAKES.lstrip())
    (folder / "mypy.ini").write_text("[mypy]\nstrict = True\nplugins = pydantic.mypy\n")
    cache = ROOT / ".pytest_cache/d/types"  # kept from run to run, also by those without pytest's own cache
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(cache), "caller.py", "mistakes.py"]
    run = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 1, run.stdout + run.stderr
    found: dict[str, list[int]] = {"caller.py": [], "mistakes.py": []}
    for line in run.stdout.splitlines():
        name, _, rest = line.partition(":")
        if ": error:" in line:
            found[name].append(int(rest.partition(":")[0]))
    return found


def test_a_caller_outside_the_checkout_type_checks(errors):
    assert errors["caller.py"] == []


def test_a_callers_mistakes_are_found(errors):
    assert sorted(set(errors["mistakes.py"])) == [5, 6, 7, 8]


@pytest.mark.parametrize("package", ["pipelines", "stylefx"])
def test_the_wheel_carries_py_typed(package):
    assert (ROOT / package / "py.typed").exists()
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "py.typed" in data[package]
