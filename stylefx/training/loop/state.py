"""What of a run goes into a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.reader import Corpus
from stylefx.corpus.stream import StreamSet
from stylefx.errors import UserError
from stylefx.models.style_transfer import StyleTransferModel
from stylefx.training.config import TrainingConfig
from stylefx.training.loop.ema import MovingAverage
from stylefx.training.processes.distributed import Rank
from stylefx.training.run.checkpoints import Saving
from stylefx.training.run.choice import load_state
from stylefx.training.run.optimiser import optimiser_tensors, restore_optimiser
from stylefx.training.setup import refuse_changes

if TYPE_CHECKING:
    import torch

_WEIGHTS = "weights/"  # the raw weights among the training tensors, where averaged ones are the model's

Loaded = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def load_resumable(folder: Path, config: TrainingConfig, place: Rank) -> Loaded:
    """(state, weights, training tensors) of a checkpoint that this configuration may go on from; UserError otherwise."""
    state, weights, training = load_state(folder)
    refuse_changes(state["config"], config.model_dump(mode="json"))
    if config.data.stream == "webdataset" and state["world"] != place.world:
        raise UserError(f"a stream goes on with as many processes as it began with, {state['world']}, not {place.world}")
    return state, weights, training


def restore(
    model: StyleTransferModel,
    average: MovingAverage | None,
    optimiser: torch.optim.Optimizer,
    names: list[str],
    weights: dict[str, Any],
    training: dict[str, Any],
    device: torch.device,
) -> None:
    """Weights, averaged weights and Adam's moments as they were."""
    own = {k.removeprefix(_WEIGHTS): v for k, v in training.items() if k.startswith(_WEIGHTS)}
    model.load_state_dict(weights | own)
    if average is not None:
        average.weights = {n: weights[n].to(device) for n in average.weights}
    restore_optimiser(optimiser, names, {k: v for k, v in training.items() if not k.startswith(_WEIGHTS)})


def saving_of(
    step: int,
    model: StyleTransferModel,
    average: MovingAverage | None,
    optimiser: torch.optim.Optimizer,
    names: list[str],
    state: dict[str, Any],
    half_frames: int,
) -> Saving:
    """The checkpoint of a step; its tensors are not copied yet."""
    training, weights = optimiser_tensors(optimiser, names), model.state_dict()
    if average is not None:
        training |= {f"{_WEIGHTS}{n}": p for n, p in model.named_parameters()}
        weights = average.state(model)
    config = model.config() | {"segment_samples": half_frames, "level": model.level.to_data()}
    return Saving(step, config, weights, training, state)


def description(
    config: TrainingConfig, data: TrainingSet | StreamSet, corpora: Sequence[Corpus], place: Rank, step: int
) -> dict[str, Any]:
    """Where in the data a step is, and what the run is."""
    epoch, within = data.place(step * config.global_batch)
    return {
        "epoch": epoch,
        "position": within,
        "world": place.world,
        "generations": [c.generations for c in corpora],
        "contents": [c.contents for c in corpora],
        "config": config.model_dump(mode="json"),
    }
