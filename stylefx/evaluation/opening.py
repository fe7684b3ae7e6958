"""From paths to a job: the checkpoint and the corpus are opened, and reports are told which they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stylefx.errors import UserError
from stylefx.evaluation.job import EvaluationJob


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the device {device!r} cannot be used ({reason}); choose another with --device") from error


def open_job(
    checkpoint: Path, corpus_path: Path, device: str = "cpu", intent: str | None = None, render: str = "stored", **options: Any
) -> EvaluationJob:
    """Load both and make the job. ``render`` "recipe": pairs in float from the corpus' dry halves."""
    from stylefx.audio.levels import DEFAULT_LEVEL
    from stylefx.corpus.reader import open_corpus
    from stylefx.corpus.replay import FloatCorpus
    from stylefx.evaluation.systems.base import ModelSystem
    from stylefx.models.checkpoint import load_model, read_card
    from stylefx.models.intents import intent_number

    _check_device(device)
    corpus = open_corpus(corpus_path)
    corpus = FloatCorpus.of(corpus) if render == "recipe" else corpus
    model = load_model(checkpoint, device=device)
    setup = {
        "rendered": "in float" if render == "recipe" else None,
        "checkpoint": checkpoint.name,
        "corpus": corpus_path.name,
        "model_sample_rate": model.sample_rate,
        "device": device,
        "weights_sha256": read_card(checkpoint)["sha256"][:16],
    }
    if intent is not None:
        intent_number(intent, model.intents, checkpoint.name)
        setup["intent"] = intent
    relevel = not (model.level == corpus.level == DEFAULT_LEVEL)
    system = ModelSystem(model, device, intent, relevel)
    return EvaluationJob(system, corpus, checkpoint=checkpoint, setup=setup, **options)
