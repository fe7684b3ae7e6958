"""From a configuration to the parts of a run: corpora, model, optimiser; and what a resumed run must have in common."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from stylefx.corpus.dataset import EvaluationSet, TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.reader import Corpus, open_corpus
from stylefx.corpus.stream import StreamLoader, StreamSet
from stylefx.errors import UserError
from stylefx.models.checkpoint import load_model
from stylefx.models.style_transfer import StyleTransferModel, build_model
from stylefx.training.config import TrainingConfig, resolve_chain

#: what decides the sequence of samples and the model: a resumed run must not change it
FIXED = (
    "seed", "global_batch", "data.corpora", "data.crop_samples", "data.window_shards", "data.render", "data.stream", "model",
    "loss", "optimiser.ema_decay",
)  # fmt: skip


def open_corpora(config: TrainingConfig, state: dict[str, Any] | None = None) -> list[Corpus]:
    """The corpora; a resumed run reads the generations that it began with, and refuses others under the same numbers."""
    corpora, cache = [], cache_options(config)
    if config.data.stream == "webdataset":
        return []
    for number, entry in enumerate(config.data.corpora):
        if state is None:
            corpora.append(open_corpus(entry.path, **cache))
            continue
        known = {int(k): v for k, v in state["generations"][number].items()}
        corpus = open_corpus(entry.path, generations=known, **cache)
        if corpus.generations != known:
            raise UserError(f"{entry.path} is not the corpus that the run began with (other digests); start anew")
        corpora.append(corpus)
    return corpora


def cache_options(config: TrainingConfig) -> dict[str, Any]:
    return {"cache": config.data.cache_dir, "cache_bytes": int(config.data.cache_gb * 1e9)}


def training_set(config: TrainingConfig, corpora: list[Corpus]) -> TrainingSet | StreamSet:
    section, dry = config.data, config.data.render == "online"
    if section.stream == "webdataset":
        urls = [c.path for c in section.corpora]
        return StreamSet(urls, section.sample_rate, section.half_frames, seed=config.seed, crop=section.crop_samples, dry=dry)
    weights = [c.weight for c in config.data.corpora]
    return TrainingSet(
        corpora,
        None if weights[0] is None else weights,
        seed=config.seed,
        window=config.data.window_shards,
        crop=config.data.crop_samples,
        dry=dry,
    )


def evaluation_set(config: TrainingConfig, corpora: list[Corpus], trained: list[Corpus] | None = None) -> EvaluationSet | None:
    """The validation samples, or None when no corpus has the split; groups of ``trained`` corpora are refused."""
    section = config.validation
    if section.corpora is not None:
        corpora = [open_corpus(path, **cache_options(config)) for path in section.corpora]
    having = [c for c in corpora if section.split in c.splits]
    if not having:
        return None
    held_out = EvaluationSet(having, section.split, section.samples, section.crop_samples)
    if trained is not None and (section.corpora is not None or len(trained) > 1):
        refuse_shared_groups(held_out, trained)
    return held_out


def refuse_shared_groups(held_out: EvaluationSet, trained: list[Corpus]) -> None:
    """One corpus keeps its splits apart; several of the same recordings may not. UserError names a group on both sides."""
    groups = {ref.group for _, ref in held_out.refs}
    for corpus in trained:
        for ref in corpus.samples("train") if "train" in corpus.splits else []:
            if ref.group in groups:
                raise UserError(
                    f"group {ref.group!r} is held out and in the training split of {corpus.store}; "
                    "build the corpora with the same split salt, or pin the group"
                )


def training_loader(config: TrainingConfig, data: TrainingSet | StreamSet, **options: Any) -> TrainingLoader | StreamLoader:
    kind = StreamLoader if isinstance(data, StreamSet) else TrainingLoader
    return kind(data, workers=config.data.workers, ahead=config.data.ahead, stop_step=config.steps, **options)


def make_model(config: TrainingConfig, sample_rate: float) -> StyleTransferModel:
    """The model with weights that depend on the seed alone (or come from ``init_from``)."""
    chain = resolve_chain(config.model.chain)
    torch.manual_seed(config.seed)
    model = build_model(
        {
            "chain": chain.to_dict(),
            "sample_rate": sample_rate,
            "encoder": config.model.encoder.model_dump(),
            "controller": config.model.controller,
            "strategy": config.model.strategy.model_dump(),
        }
    )
    if config.init_from:
        try:
            model.load_state_dict(load_model(config.init_from).state_dict())
        except RuntimeError as error:
            raise UserError(f"init_from {config.init_from} is another model than the configuration describes: {error}") from error
    model.mixed_precision = config.precision == "bf16"
    return model


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def get(data: dict[str, Any], dotted: str) -> Any:
    for part in dotted.split("."):
        data = data[part]
    return data


def refuse_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """UserError when a resumed run would see other data or another model."""
    for name in FIXED:
        if get(before, name) != get(now, name):
            raise UserError(
                f"the run began with {name} = {get(before, name)!r}, now it is {get(now, name)!r}; "
                "resume with the old value, or start a new run with init_from"
            )
