"""The one entry that every launcher calls: the command, torchrun's processes, Ray Train's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch.distributed as dist

from stylefx.errors import IncompleteError, StylefxError
from stylefx.models.checkpoint import CHECKPOINTS
from stylefx.training.config import TrainingConfig
from stylefx.training.loop.trainer import Trainer
from stylefx.training.processes.distributed import Rank, first_only, join
from stylefx.training.processes.interrupt import StopRequest
from stylefx.training.run.choice import choose_checkpoint, refuse_a_second_start
from stylefx.training.run.lease import RunLease

_STARTING = "stopped while starting; nothing is lost, start again with the same command and --resume"


def run_training(
    config: TrainingConfig, run: Path, resume: bool, echo: Callable[[str], None], step: int | None = None
) -> dict[str, float]:
    """Train in this process (one rank of possibly many); returns the last metrics. ``step``: of the checkpoint to go on from
    (default: the newest that is whole)."""
    with join(config.device) as place, ExitStack() as held:
        stop = held.enter_context(StopRequest())
        with stop.at_once(_STARTING), _other_ranks_named(place):
            lease = RunLease(run)
            checkpoint = first_only(place, lambda: _take(held, lease, resume, step, echo))
            trainer = Trainer(config, run, place, echo, checkpoint, lease.check)
        if place.is_first:
            for text in {corpus.store.warning() for corpus in trainer.corpora} - {None}:
                echo(f"warning: {text}")
            held_out = len(trainer.held_out.data) if trainer.held_out is not None else 0
            echo(
                f"{run}: {trainer.data.describe()}, {held_out} held out, {place.world} x {place.device.type}, "
                f"step {trainer.start_step} of {config.steps}"
            )
        with _other_ranks_named(place):
            metrics = trainer.run(stop)
        if place.is_first:
            echo(f"model: {run} (use it: stylefx transfer INPUT REFERENCE -o OUTPUT --model {run})")
    return metrics


def _take(held: ExitStack, lease: RunLease, resume: bool, step: int | None, echo: Callable[[str], None]) -> Path | None:
    """Hold the run folder, and find the checkpoint to go on from."""
    refuse_a_second_start(lease.run, resume)
    held.enter_context(lease)
    return choose_checkpoint(lease.run / CHECKPOINTS, step, echo)


@contextmanager
def _other_ranks_named(place: Rank) -> Iterator[None]:
    """What a collective operation says when another rank is gone, as a sentence."""
    try:
        yield
    except StylefxError:
        raise
    except (dist.DistError, RuntimeError) as error:
        if place.world == 1 or "Connection" not in str(error):
            raise
        raise IncompleteError(
            f"rank {place.rank} lost another rank ({str(error).splitlines()[0]}); all ranks end, go on with --resume"
        ) from error
