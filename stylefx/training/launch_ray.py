"""The same training under Ray Train: workers that come back when one is lost, and a group that may grow and shrink.

Ray is imported only when something here is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylefx.errors import IncompleteError, StylefxError, UserError
from stylefx.training.config import TrainingConfig


def worker_range(text: str) -> tuple[int, int]:
    """ "4" or "2:8" -> (fewest, most)."""
    low, _, high = text.partition(":")
    try:
        fewest, most = int(low), int(high or low)
    except ValueError as error:
        raise UserError(f"--ray-workers is {text!r}; give a number such as 4, or fewest:most such as 2:8") from error
    if not 1 <= fewest <= most:
        raise UserError(f"--ray-workers is {text!r}; give 1 <= fewest <= most")
    return fewest, most


def _on_worker(options: dict[str, Any]) -> None:
    """What every Ray worker runs: the place torchrun would tell comes from Ray."""
    import click
    from ray import train

    from stylefx.training.config import validate
    from stylefx.training.launch import run_training

    context = train.get_context()
    os.environ |= {
        "WORLD_SIZE": str(context.get_world_size()),
        "RANK": str(context.get_world_rank()),
        "LOCAL_RANK": str(context.get_local_rank()),
    }
    config = validate(options["config"], "the configuration")
    metrics = run_training(config, Path(options["run"]), True, click.echo)
    train.report(metrics)


def ray_training(
    config: TrainingConfig, run: Path, resume: bool, workers: str, address: str | None, echo: Callable[[str], None]
) -> None:
    """Train with Ray Train v2. ``run`` must be a folder that all nodes see. A lost worker costs the steps since the last
    checkpoint, at most three times."""
    fewest, most = worker_range(workers)
    for world in range(fewest, most + 1):
        config.accumulation(world)  # refuses a group size that the global batch cannot be divided over
    if (run / "checkpoints" / "last.json").exists() and not resume:
        raise UserError(f"{run} holds a run already; go on with --resume or choose another folder with --out")
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    if not ray.is_initialized():
        if address:
            ray.init(address=address)
        else:  # a bare init could attach to a stranger's cluster
            ray.init(address="local", include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=True)
    gpu = config.device.startswith("cuda") or (config.device == "auto" and ray.cluster_resources().get("GPU", 0) >= fewest)
    trainer = TorchTrainer(
        _on_worker,
        train_loop_config={"config": config.model_dump(mode="json"), "run": str(run.resolve())},
        scaling_config=ScalingConfig(num_workers=most if fewest == most else (fewest, most), use_gpu=gpu),
        run_config=RunConfig(
            name="stylefx-train", storage_path=str(run.resolve() / "ray"), failure_config=FailureConfig(max_failures=3)
        ),
    )
    try:
        trainer.fit()
    except StylefxError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise IncompleteError(f"training with Ray ended early ({reason}); go on with --launcher ray --resume") from error
    echo(f"model: {run} (trained by {workers} Ray workers)")
