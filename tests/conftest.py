"""Shared fixtures: programs that some tests need, and short real-looking signals."""

from __future__ import annotations

import os
import shutil

# Tests run one process per core: more threads in each would only wait for one another. Set before torch and numba load.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import pytest  # noqa: E402


def require_program(name: str, install: str) -> str:
    """The path of a system program; where it is missing the test skips with the line that installs it, and fails in CI."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed: {install}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture
def rubberband() -> str:
    return require_program("rubberband", "apt-get install rubberband-cli (macOS: brew install rubberband)")


@pytest.fixture
def ffmpeg() -> str:
    return require_program("ffmpeg", "apt-get install ffmpeg (macOS: brew install ffmpeg)")


@pytest.fixture
def sox() -> str:
    return require_program("sox", "apt-get install sox (macOS: brew install sox)")


@pytest.fixture
def chromium() -> str:
    return require_program("chromium", "apt-get install chromium")
