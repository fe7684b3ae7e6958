"""Shared fixtures: programs that some tests need, and short real-looking signals."""

from __future__ import annotations

import os
import shutil

# Tests run one process per core: more threads in each would only wait for one another. Set before torch and numba load.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import pytest  # noqa: E402

#: what starts processes, browsers, servers or trainings: `make check` leaves it to `make test`
SLOW = tuple(
    f"tests/{name}"
    for name in (
        "audio/engines", "corpus/loops", "differentiable", "docs", "effects/kernels/test_kernel_cache", "effects/test_exactness",
        "evaluation/listening", "evaluation/protocols", "experiments", "inference/export", "inference/folder", "inference/page",
        "inference/test_refine", "pipelines/builder/test_b", "pipelines/builder/test_c", "pipelines/builder/test_f",
        "pipelines/builder/test_g", "pipelines/builder/test_k", "pipelines/builder/test_n", "pipelines/builder/test_r",
        "pipelines/corpus/test_interop", "pipelines/look/test_report", "pipelines/python", "pipelines/storage/test_s3",
        "pipelines/verify", "pipelines/workers", "strategies", "studio", "test_extras", "test_platforms", "test_plugins",
        "test_types", "training/launch", "training/processes", "training/run/test_healing", "training/test_resume",
        "training/warm_up",
    )
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting:
        import torch

        if not torch.cuda.is_available():
            for item in wanting:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch sees none"))


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
