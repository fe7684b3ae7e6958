"""A small corpus and configuration for training tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stylefx.training.config import TrainingConfig, validate
from stylefx.training.launch.local import run_training
from tests.support.stored_corpus import make_corpus

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", {"train": [6, 5], "val": [5]}, half_frames=20000, dry=True)


def small(corpus: Path, **changes) -> TrainingConfig:
    """A configuration that trains in seconds."""
    data = {
        "steps": 6, "global_batch": 4, "device": "cpu", "threads": 1, "seed": 3,
        "data": {"corpora": str(corpus), "crop_samples": 17000, "workers": 2, "window_shards": 1},
        "model": {"encoder": {"name": "tiny", "width": 8, "num_bands": 40, "embedding_size": 32}, "controller": {"hidden": 16}},
        "optimiser": {"learning_rate": 1e-3},
        "validation": {"every_steps": 3}, "checkpoints": {"every_steps": 2},
        "logging": {"every_steps": 2, "backends": []},
    }  # fmt: skip
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return validate(data, "test")


def losses(run: Path) -> list[tuple]:
    """Everything that the journal has, exactly."""
    return [tuple(sorted(json.loads(line).items())) for line in (run / "metrics.jsonl").read_text().splitlines()]


def go(config: TrainingConfig, run: Path, resume: bool = False, step: int | None = None) -> list[str]:
    said: list[str] = []
    run_training(config, run, resume, said.append, step)
    return said


@pytest.fixture(scope="session")
def undisturbed(corpus, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    go(small(corpus), run)
    return run
