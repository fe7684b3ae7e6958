"""A process that compiles the gradient loops and one that finds them compiled get the same bits, although sums are reordered."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from stylefx.differentiable.operators import compiled

_SCRIPT = """
import hashlib, numpy as np
from stylefx.differentiable.operators.compiled import biquads, dynamics, spectra

rng = np.random.default_rng(5)
some = lambda *shape: (0.3 * rng.normal(size=shape)).astype(np.float32)

x, y, sums = some(40, 2050), some(40, 2050), np.zeros(40)
spectra.distance_frames(0, 40, x, y, 1.0, 1.0, 2, sums)
print("distance", hashlib.sha256(sums.tobytes() + x.tobytes() + y.tobytes()).hexdigest())

audio, out, above = some(3, 2, 3000), np.empty((3, 2, 3000), np.float32), some(3, 2, 3000)
law, states = np.tile([-20.0, 0.5, 6.0, 30.0, 0.01, 0.001, 1.0], (3, 1)), np.empty((3, 6))
d_audio, d_law = out.copy(), np.zeros((3, 7))
dynamics.dynamics_items(0, 3, audio, law, 1.0, out, states)
dynamics.dynamics_adjoint_items(0, 3, audio, law, 1.0, states, above, d_audio, d_law)
print("dynamics", hashlib.sha256(out.tobytes() + d_audio.tobytes() + d_law.tobytes()).hexdigest())

sections, states, d_sections = np.tile([1.1, -1.7, 0.8, -1.6, 0.7], (3, 3, 1)), np.empty((6, 6, 4, 2)), np.zeros((6, 3, 5))
biquads.filter_rows(0, 6, audio, sections, out, states)
biquads.adjoint_rows(0, 6, audio, sections, states, above, d_audio, d_sections)
print("sections", hashlib.sha256(out.tobytes() + d_audio.tobytes() + d_sections.tobytes()).hexdigest())
entries = spectra.distance_frames, dynamics.dynamics_items, biquads.filter_rows
print("compiled", sum(entry.stats.cache_misses.total() for entry in entries))
"""


def _run(cache: Path) -> list[str]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_run_that_compiles_and_one_that_finds_its_loops_compiled_get_the_same_bits(tmp_path):
    compiled_here, found = _run(tmp_path), _run(tmp_path)
    assert (compiled_here[-1], found[-1]) == ("compiled 3", "compiled 0")
    for kept in tmp_path.rglob("*distance_frames-*"):  # its parts stay
        kept.unlink()
    half_found = _run(tmp_path)
    assert half_found[-1] == "compiled 1"
    assert compiled_here[:-1] == found[:-1] == half_found[:-1]


_FREE = {
    f"{module.name}.{name}": kernel
    for module in pkgutil.iter_modules(compiled.__path__)
    for name, kernel in vars(importlib.import_module(f"{compiled.__name__}.{module.name}")).items()
    if isinstance(kernel, Dispatcher) and kernel.targetoptions.get("fastmath")
}


@pytest.mark.parametrize("name", _FREE)
def test_what_rounds_freely_exists_once_in_each_loop_that_calls_it(name):
    function = _FREE[name].py_func
    called = {n for n in function.__code__.co_names if isinstance(function.__globals__.get(n), Dispatcher)}
    apart = {n for n in called if (o := function.__globals__[n].targetoptions).get("fastmath") and not o.get("forceinline")}
    assert not apart, f"{name} calls {apart}: make them a sum_part or recursion_part"
