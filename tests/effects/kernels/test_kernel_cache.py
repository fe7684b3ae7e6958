"""Kernels are compiled once and kept, also without a home folder and with a package that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import stylefx

RENDER = """
import numpy as np
import stylefx
from stylefx.effects.palette.delay import Delay
print(stylefx.__file__)
Delay().render(np.ones((1, 9)), {"mix": 1.0}, 8000)
"""


def run(folder: Path, code: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH")}
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_package(folder: Path, writable: bool) -> None:
    """The effects in a folder of their own. As root may write anywhere, a file in the place of __pycache__ stands for a
    package that cannot be written."""
    source = Path(stylefx.__file__).parent
    for part in ("__init__.py", "errors.py", "effects"):
        target = folder / "stylefx" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if part.endswith(".py"):
            shutil.copy(source / part, target)
        else:
            shutil.copytree(source / part, target, ignore=shutil.ignore_patterns("__pycache__"))
    if not writable:
        for place in ("effects", "effects/kernels", "effects/palette"):
            (folder / "stylefx" / place / "__pycache__").write_text("")


def test_a_package_that_cannot_be_written_caches_in_a_private_temporary_folder(tmp_path):
    copy_package(tmp_path / "package", writable=False)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    printed = run(tmp_path / "package", RENDER, TMPDIR=str(temporary), HOME="/nonexistent")
    assert str(tmp_path) in printed
    cached = {p: p.stat().st_mtime_ns for p in temporary.rglob("*.nbc")}
    assert cached
    assert oct(next(temporary.iterdir()).stat().st_mode & 0o777) == "0o700"
    run(tmp_path / "package", RENDER, TMPDIR=str(temporary), HOME="/nonexistent")
    assert {p: p.stat().st_mtime_ns for p in temporary.rglob("*.nbc")} == cached, "the second run compiled again"


def test_a_chosen_cache_folder_is_used(tmp_path):
    copy_package(tmp_path / "package", writable=True)
    chosen = tmp_path / "kernels"
    run(tmp_path / "package", RENDER, NUMBA_CACHE_DIR=str(chosen), HOME="/nonexistent")
    assert list(chosen.rglob("*.nbc"))
    assert not list((tmp_path / "package").rglob("*.nbc"))


SAME_BITS = """
import hashlib
import numpy as np
from stylefx.effects.registry import make_effect
audio = (0.2 * np.random.default_rng(0).standard_normal((2, 20000))).astype(np.float32)
for name in ("parametric_eq", "compressor", "delay"):
    effect = make_effect(name)
    settings = {p.name: p.from_control(0.3) for p in effect.parameters}
    print(name, hashlib.sha256(effect.render(audio, settings, 44100).tobytes()).hexdigest())
"""


def test_kernels_give_the_same_bits_on_a_processor_without_wide_registers_and_fused_multiply_add(tmp_path):
    """The loops are compiled for the oldest processor of the architecture, and for this one."""
    folder, caches = Path(stylefx.__file__).parents[1], {name: str(tmp_path / name) for name in ("generic", "host")}
    oldest = run(folder, SAME_BITS, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=caches["generic"])
    assert oldest.count("\n") == 3
    assert run(folder, SAME_BITS, NUMBA_CACHE_DIR=caches["host"]) == oldest
