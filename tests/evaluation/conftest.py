"""A corpus with known truth and an untrained model, made once per worker."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stylefx.models.checkpoint import save_model
from tests.support.truth_corpus import make_truth_corpus, untrained_model


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus_path(tmp_path_factory) -> Path:
    """Dry inputs: settings are the truth."""
    return make_truth_corpus(tmp_path_factory.mktemp("recovery"), {"train": 8, "test": 8})


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return save_model(untrained_model(), tmp_path_factory.mktemp("model") / "tiny")
