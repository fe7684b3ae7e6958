"""``stylefx train`` and ``stylefx config``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stylefx.command_line import json_option, out_option, overridable, overwrite_option, say, show_json
from stylefx.errors import StylefxError


@click.command("config")
@click.argument("name", required=False)
@out_option("Write it to this file instead.", type=click.Path(dir_okay=False, path_type=Path))
@overwrite_option()
def config(name: str | None, out: Path | None, overwrite: bool) -> None:
    """Print the training configuration NAME that comes with stylefx, or a recipe for training on a cluster; without NAME, list
    them.

    To start from one: stylefx config base -o mine.yaml
    """
    from stylefx.files.output import give
    from stylefx.templates import CONFIGURATIONS, template_list, template_text

    give(template_list(CONFIGURATIONS) if name is None else template_text(CONFIGURATIONS, name), out, overwrite)


if TYPE_CHECKING:
    from stylefx.training.config import TrainingConfig

_NEWEST = "newest"


class _Resumable(click.Command):
    """``--resume`` takes the number of a step, or nothing: whatever else follows it is not its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        bare = [i for i, word in enumerate(args) if word == "--resume" and not (args[i + 1 : i + 2] or [""])[0].isdigit()]
        return super().parse_args(ctx, [f"--resume={_NEWEST}" if i in bare else word for i, word in enumerate(args)])


def _step(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or value == _NEWEST or value.isdigit():
        return value
    raise click.BadParameter(f"{value!r} is no step; give --resume alone, or with the number of a step")


@click.command(cls=_Resumable)
@click.argument("config", type=click.Path(path_type=Path))
@overridable
@out_option("Folder of the run (default: runs/ and the configuration's name).", type=click.Path(path_type=Path))
@click.option(
    "--resume",
    metavar="[STEP]",
    callback=_step,
    help="Go on from the run's newest whole checkpoint, or that of STEP; alone it begins when there is none.",
)
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration, sizes and work per step; train nothing.")
@click.option("--launcher", type=click.Choice(["here", "ray"]), default="here", help="here: this process (or torchrun's).")
@click.option("--hub", metavar="USER/NAME", help="Push the model to a hub when the run is done; others get it as hub:USER/NAME.")
@click.option("--ray-workers", default="2", help="With --launcher ray: how many, or fewest:most for an elastic group.")
@click.option("--ray-address", help="A Ray cluster to use, such as auto; default: a private local one.")
@json_option("Print the last metrics (with --dry-run: the resolved configuration) as JSON; lines of progress go to stderr.")
def train(
    config: Path,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: str | None,
    dry_run: bool,
    launcher: str,
    hub: str | None,
    ray_workers: str,
    ray_address: str | None,
    as_json: bool,
) -> None:
    """Train a style-transfer model as CONFIG (a YAML file) says.

    NAME=VALUE changes the configuration, as in optimiser.learning_rate=3e-4. Start it with torchrun for several processes.
    """
    from stylefx.logs import logged
    from stylefx.training.config import load_config
    from stylefx.training.launch.final import under_torchrun

    if hub is not None:
        from stylefx.models.hub import check_name

        check_name(hub)
    echo, run = logged(partial(say, err=as_json)), out or Path("runs") / config.stem
    step = int(resume) if resume is not None and resume.isdigit() else None
    if dry_run:
        from stylefx.training.summary import summary

        resolved = load_config(config, overrides)
        text = summary(resolved)
        show_json(resolved.model_dump(mode="json")) if as_json else say(text)
        return
    if launcher == "ray":
        from stylefx.training.launch.ray import ray_training

        ray_training(load_config(config, overrides), run, resume is not None, ray_workers, ray_address, echo, step)
    else:
        with under_torchrun(run):
            _train_here(load_config(config, overrides), run, resume is not None, echo, step)
    if hub is not None and os.environ.get("RANK", "0") == "0":
        from stylefx.models.sharing import push_to_hub

        echo(f"pushed: {push_to_hub(run, hub)} (use it: --model hub:{hub})")
    if as_json and os.environ.get("RANK", "0") == "0":
        last = json.loads((run / "checkpoints" / "last.json").read_text(encoding="utf-8"))
        show_json({"run": str(run), **last})


def _train_here(config: TrainingConfig, run: Path, resume: bool, echo: Callable[[str], None], step: int | None) -> None:
    from stylefx.training.launch.final import is_restart
    from stylefx.training.launch.local import run_training
    from stylefx.training.processes.interrupt import end_now_where_threads_hang

    try:
        # a step is gone back to once: restarted workers go on from what the first ones saved
        run_training(config, run, resume or is_restart(), echo, None if is_restart() else step)
    except StylefxError as error:
        end_now_where_threads_hang(error)
        raise
