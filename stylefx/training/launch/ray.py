"""The same training under Ray Train: workers that come back when one is lost, and a group that may grow and shrink.

Ray is imported only when something here is called.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stylefx.errors import IncompleteError, StylefxError, UserError, first_line
from stylefx.extras import install_line
from stylefx.logs import logged
from stylefx.models.checkpoint import CHECKPOINTS
from stylefx.training.config import TrainingConfig
from stylefx.training.launch.final import ends_for_good, recorded
from stylefx.training.run.choice import choose_checkpoint, refuse_a_second_start


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
    """What every Ray worker runs: the place torchrun would tell comes from Ray, the working folder from the command."""
    import click
    from ray import train

    from stylefx.training.config import validate
    from stylefx.training.launch.local import run_training

    run, launch = Path(options["run"]), options["launch"]
    if Path(options["folder"]).is_dir():  # relative paths of the configuration mean what they mean to the command
        os.chdir(options["folder"])
    if recorded(run, launch) is not None:
        return  # another rank ended for good; the command says why
    context = train.get_context()
    os.environ |= {
        "WORLD_SIZE": str(context.get_world_size()),
        "RANK": str(context.get_world_rank()),
        "LOCAL_RANK": str(context.get_local_rank()),
    }
    try:
        with ends_for_good(run, launch):
            config = validate(options["config"], "the configuration")
            train.report(run_training(config, run, True, logged(click.echo)))
    except IncompleteError:
        raise
    except StylefxError:  # a worker that raises would be started again
        return


def ray_training(
    config: TrainingConfig,
    run: Path,
    resume: bool,
    workers: str,
    address: str | None,
    echo: Callable[[str], None],
    step: int | None = None,
) -> None:
    """Train with Ray Train v2. ``run`` must be a folder that all nodes see. A lost worker costs the steps since the last
    checkpoint, at most three times; an error that cannot go away ends all at once."""
    fewest, most = worker_range(workers)
    for world in range(fewest, most + 1):
        config.accumulation(world)  # refuses a group size that the global batch cannot be divided over
    run = run.resolve()
    refuse_a_second_start(run, resume)
    if step is not None:
        choose_checkpoint(run / CHECKPOINTS, step, echo)  # the workers go on from the newest, also after a loss
    _fit(config, run, (fewest, most), address)
    echo(f"model: {run} (trained by {workers} Ray workers)")


def _fit(config: TrainingConfig, run: Path, workers: tuple[int, int], address: str | None) -> None:
    ray, parts = _ray_train()
    fewest, most = workers
    ours = not ray.is_initialized()
    if ours:
        if address:
            ray.init(address=address)
        else:  # a bare init could attach to a stranger's cluster
            ray.init(address="local", include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=True)
    gpu = config.device.startswith("cuda") or (config.device == "auto" and ray.cluster_resources().get("GPU", 0) >= fewest)
    count: Any = most if fewest == most else (fewest, most)  # a pair, which Ray takes, is not in its annotation
    launch = uuid.uuid4().hex
    trainer = parts.TorchTrainer(
        _on_worker,
        train_loop_config={
            "config": config.model_dump(mode="json"),
            "run": str(run),
            "folder": str(Path.cwd()),
            "launch": launch,
        },
        scaling_config=parts.ScalingConfig(num_workers=count, use_gpu=gpu),
        run_config=parts.RunConfig(
            name="stylefx-train", storage_path=str(run / "ray"), failure_config=parts.FailureConfig(max_failures=3)
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        if (known := recorded(run, launch)) is not None:
            raise known from None
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise IncompleteError(f"training with Ray ended early ({reason}); go on with --launcher ray --resume") from error
    finally:
        if ours:  # what Ray's actors still log would come after the command's own last line
            ray.shutdown()
    if (known := recorded(run, launch)) is not None:
        raise known


def _ray_train() -> tuple[Any, Any]:
    """Ray, and the parts of Ray Train that are used; UserError where it is not installed."""
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise UserError(
            f"--launcher ray needs Ray Train ({first_line(error)}); install it with: {install_line('train', 'ray-train')}"
        ) from error
    return ray, SimpleNamespace(
        FailureConfig=FailureConfig, RunConfig=RunConfig, ScalingConfig=ScalingConfig, TorchTrainer=TorchTrainer
    )
