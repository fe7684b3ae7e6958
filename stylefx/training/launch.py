"""The one entry that every launcher calls: the command, torchrun's processes, Ray Train's workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

from stylefx.errors import IncompleteError, StylefxError
from stylefx.training.config import TrainingConfig
from stylefx.training.distributed import join
from stylefx.training.trainer import Trainer


def run_training(config: TrainingConfig, run: Path, resume: bool, echo: Callable[[str], None]) -> dict[str, float]:
    """Train in this process (one rank of possibly many); returns the last metrics."""
    with join(config.device) as place:
        trainer = Trainer(config, run, place, echo, resume)
        if place.is_first:
            held_out = len(trainer.held_out) if trainer.held_out is not None else 0
            echo(
                f"{run}: {trainer.data.describe()}, {held_out} held out, {place.world} x {place.device.type}, "
                f"step {trainer.start_step} of {config.steps}"
            )
        try:
            metrics = trainer.run()
        except StylefxError:
            raise
        except (dist.DistError, RuntimeError) as error:
            if place.world == 1 or "Connection" not in str(error):
                raise
            raise IncompleteError(
                f"rank {place.rank} lost another rank ({str(error).splitlines()[0]}); all ranks end, go on with --resume"
            ) from error
        if place.is_first:
            echo(f"model: {run} (use it: stylefx transfer INPUT REFERENCE -o OUTPUT --model {run})")
    return metrics
