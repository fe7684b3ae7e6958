"""From a configuration to the parts of a run: corpora, model, optimiser; and what a resumed run must have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from stylefx.audio.levels import DEFAULT_LEVEL, LevelConvention
from stylefx.corpus.dataset import EvaluationSet, TrainingSet, held_out_samples
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.pairs import DryPairs, Pairs, ReplayedPairs, StoredPairs
from stylefx.corpus.processes.loader import ProcessLoader
from stylefx.corpus.reader import Corpus, SampleRef, open_corpus
from stylefx.corpus.stream import StreamLoader, StreamSet
from stylefx.errors import UserError
from stylefx.models.checkpoint import load_model
from stylefx.models.style_transfer import StyleTransferModel, build_model
from stylefx.plugins import EFFECTS, ENCODERS, check_installed, check_listed
from stylefx.recipes.corpora import convention_of
from stylefx.training.config import TrainingConfig, resolve_chain, validate
from stylefx.training.online.recipe import online_recipe
from stylefx.training.online.render import OnlineRenderer

T = TypeVar("T")
Held = list[tuple[int, SampleRef]]

#: what decides the sequence of samples and the model: a resumed run must not change it. Corpora may have moved: where they lie
#: counts in streams only, the others are known by their digests
FIXED = (
    "seed", "global_batch", "data.corpora", "data.crop_samples", "data.window_shards", "data.render", "data.online",
    "data.stream", "model", "plugins", "loss", "warm_up", "balance_share", "optimiser.ema_decay",
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
        contents = state.get("contents", [corpus.contents] * (number + 1))[number]
        if corpus.generations != known or corpus.contents != contents:
            raise UserError(f"{entry.path} is not the corpus that the run began with (other digests); start anew")
        corpora.append(corpus)
    return corpora


def cache_options(config: TrainingConfig) -> dict[str, Any]:
    return {"cache": config.data.cache_dir, "cache_bytes": int(config.data.cache_gb * 1e9)}


def training_set(config: TrainingConfig, corpora: list[Corpus]) -> TrainingSet | StreamSet:
    section, online = config.data, config.data.render == "online"
    if section.stream == "webdataset":
        urls = [c.path for c in section.corpora]
        renderer = _stream_renderer(config) if online else None
        assert section.sample_rate is not None  # as the configuration was checked
        assert section.half_frames is not None
        return StreamSet(
            urls, section.sample_rate, section.half_frames, seed=config.seed, crop=section.crop_samples, renderer=renderer
        )
    weights = [c.weight for c in config.data.corpora if c.weight is not None]  # all of them have one, or none
    return TrainingSet(
        corpora,
        weights or None,
        seed=config.seed,
        window=config.data.window_shards,
        crop=config.data.crop_samples,
        pairs=_pairs(config, section.render, corpora),
        reference=section.online.reference if online else None,
    )


def _pairs(config: TrainingConfig, render: str, corpora: list[Corpus]) -> Pairs:
    """How items become audio."""
    if render == "stored":
        return StoredPairs()
    for corpus in corpora:
        if corpus.extras not in ("dry", "both"):
            raise UserError(
                f"{corpus.store} stores no dry halves, which render: {render} starts from; build it with store: dry or both"
            )
    if render == "recipe":
        return ReplayedPairs()
    online = config.data.online
    return DryPairs({c: OnlineRenderer(*online_recipe(online, config.seed, c.manifest)) for c in corpora})


def run_level(config: TrainingConfig, corpora: list[Corpus]) -> LevelConvention:
    """The level at which the model hears its pairs; UserError where the corpora do not agree."""
    if config.data.stream == "webdataset":
        if config.data.render != "online":
            return DEFAULT_LEVEL
        renderer = _stream_renderer(config)
        return convention_of(renderer.chains, renderer.drawing)
    levels = {}
    for corpus in corpora:
        if config.data.render == "online":
            levels[corpus] = convention_of(*online_recipe(config.data.online, config.seed, corpus.manifest))
        else:
            levels[corpus] = corpus.level
    if len(set(levels.values())) > 1:
        found = ", ".join(f"{corpus.store}: {level}" for corpus, level in levels.items())
        raise UserError(f"the corpora have pairs of different levels ({found}); build them with one level, or leave some out")
    return next(iter(levels.values()))


def _stream_renderer(config: TrainingConfig) -> OnlineRenderer:
    """A stream says nothing of how its recordings were prepared: the run's own chains, the paper's unless others are given."""
    section = config.data
    plain = {"preset": "deepafx-st", "seed": 0, "segment": {"sample_rate": section.sample_rate}, "level": {"peak_dbfs": -12.0}}
    return OnlineRenderer(*online_recipe(section.online, config.seed, plain), raw=True)


def at_home(call: Callable[[], T]) -> T:
    return call()


def evaluation_set(
    config: TrainingConfig,
    corpora: list[Corpus],
    trained: list[Corpus] | None = None,
    once: Callable[[Callable[[], Held]], Held] = at_home,
) -> EvaluationSet | None:
    """The validation samples, or None when no corpus has the split; groups of ``trained`` corpora are refused. ``once`` calls
    what reads many tables, in one of several processes alone."""
    section = config.validation
    if section.corpora is not None:
        corpora = [open_corpus(path, **cache_options(config)) for path in section.corpora]
    having = [c for c in corpora if section.split in c.splits]
    if not having:
        return None
    render = section.render or (config.data.render if section.corpora is None else "stored")
    if render == "stored" and all(c.extras == "dry" for c in having):
        render = "recipe" if config.data.render == "recipe" else "online"
    rule = config.data.online.reference if render == "online" else None
    pairs = _pairs(config, render, having)

    def choose() -> Held:
        chosen = held_out_samples(having, section.split, section.samples)
        if trained is not None and (section.corpora is not None or len(trained) > 1):
            refuse_shared_groups({ref.group for _, ref in chosen}, trained)
        return chosen

    return EvaluationSet(having, section.split, section.samples, section.crop_samples, pairs, rule, once(choose))


def refuse_shared_groups(held_out: set[str], trained: list[Corpus]) -> None:
    """One corpus keeps its splits apart; several of the same recordings may not. UserError names a group on both sides."""
    for corpus in trained:
        shared = held_out & corpus.groups("train") if "train" in corpus.splits else set()
        if shared:
            raise UserError(
                f"group {min(shared)!r} is held out and in the training split of {corpus.store}; "
                "build the corpora with the same split salt, or pin the group"
            )


def size_of(data: TrainingSet | StreamSet) -> int:
    """Of how many samples a share is meant; a stream's are counted as they come, from the first thousand on."""
    return data.order.total if isinstance(data, TrainingSet) else 1000


def training_loader(config: TrainingConfig, data: TrainingSet | StreamSet, **options: Any) -> TrainingLoader | StreamLoader:
    """``allocate`` as of ``TrainingLoader``; a stream has its own memory."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    options |= {"workers": config.training_readers(here), "ahead": config.data.ahead, "stop_step": config.steps}
    if isinstance(data, StreamSet):
        options.pop("allocate", None)
        return StreamLoader(data, **options)
    if config.data.reader_processes:
        return ProcessLoader(data, processes=config.data.reader_processes, **options)
    return TrainingLoader(data, **options)


def make_model(config: TrainingConfig, sample_rate: float) -> StyleTransferModel:
    """The model with weights that depend on the seed alone (or come from ``init_from``)."""
    check_plugins(config)
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


def check_plugins(config: TrainingConfig) -> None:
    """UserError where a plug-in that the configuration lists is not installed here, or one is used that it does not list."""
    check_installed(config.plugins)
    check_listed(ENCODERS, config.model.encoder.name, config.plugins, "model.encoder.name")
    for effect in resolve_chain(config.model.chain).effects:
        check_listed(EFFECTS, effect.name, config.plugins, "model.chain")


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def get(data: dict[str, Any], dotted: str) -> Any:
    for part in dotted.split("."):
        data = data[part]
    return data


def refuse_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """UserError when a resumed run would see other data or another model; what an older run did not know has its default."""
    before = validate(before, "the run's saved configuration").model_dump(mode="json")
    for name in FIXED:
        if name == "data.corpora" and now["data"]["stream"] == "index":
            same = [c["weight"] for c in get(before, name)] == [c["weight"] for c in get(now, name)]
        else:
            same = get(before, name) == get(now, name)
        if not same:
            raise UserError(
                f"the run began with {name} = {get(before, name)!r}, now it is {get(now, name)!r}; "
                "resume with the old value, or start a new run with init_from"
            )
