"""Recordings and a corpus built from them undisturbed; a module that needs others defines fixtures of the same names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.builds import manifest_for, run_build, write_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("sources") / "voices", speakers=3, seconds=6.0)


@pytest.fixture(scope="module")
def reference(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "corpus"
    run_build(manifest_for(sources, out), executor="direct")
    return out


@pytest.fixture
def corpus(reference, tmp_path) -> Path:
    """A finished corpus to damage."""
    return shutil.copytree(reference, tmp_path / "corpus")
