"""``stylefx train``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run (default: runs/ and the configuration's name).")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint; begins when there is none.")
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration, sizes and work per step; train nothing.")
@click.option("--launcher", type=click.Choice(["here", "ray"]), default="here", help="here: this process (or torchrun's).")
@click.option("--ray-workers", default="2", help="With --launcher ray: how many, or fewest:most for an elastic group.")
@click.option("--ray-address", help="A Ray cluster to use, such as auto; default: a private local one.")
def train(
    config: Path,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    dry_run: bool,
    launcher: str,
    ray_workers: str,
    ray_address: str | None,
) -> None:
    """Train a style-transfer model as CONFIG (a YAML file) says.

    KEY=VALUE changes the configuration, as in optimiser.learning_rate=3e-4. Start it with torchrun for several processes.
    """
    from stylefx.training.config import load_config
    from stylefx.training.launch import run_training
    from stylefx.training.summary import summary

    resolved = load_config(config, overrides)
    run = out or Path("runs") / config.stem
    if dry_run:
        click.echo(summary(resolved))
        return
    if launcher == "ray":
        from stylefx.training.launch_ray import ray_training

        ray_training(resolved, run, resume, ray_workers, ray_address, click.echo)
        return
    run_training(resolved, run, resume, click.echo)
