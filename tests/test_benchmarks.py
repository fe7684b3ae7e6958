"""Every benchmark loads: what it takes from the package and from the tests' support is still there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import benchmarks

FOLDER = Path(benchmarks.__file__).parent
OURS = ("benchmarks", "pipelines", "stylefx", "tests")
MODULES = sorted(
    ".".join(("benchmarks", *path.relative_to(FOLDER).with_suffix("").parts))
    for path in FOLDER.rglob("*.py")
    if not path.stem.startswith("__")
)


@pytest.mark.parametrize("module", MODULES)
def test_a_benchmark_finds_what_it_imports(module):
    try:
        importlib.import_module(module)
    except ImportError as error:
        if (error.name or "").startswith(OURS):
            raise
        pytest.skip(f"a peer is not installed: {error.name}")
