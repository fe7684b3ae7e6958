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
def train(config: Path, overrides: tuple[str, ...], out: Path | None, resume: bool, dry_run: bool) -> None:
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
    run_training(resolved, run, resume, click.echo)
