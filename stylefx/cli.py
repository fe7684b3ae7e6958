"""The command ``stylefx``: train, evaluate, transfer, and what belongs to them."""

from __future__ import annotations

import click

from stylefx import __version__
from stylefx.command_line import LazyGroup, run

COMMANDS = {
    "train": ("stylefx.training.cli:train", "Train a style-transfer model on corpora."),
    "config": ("stylefx.training.cli:config", "Print a training configuration that comes with stylefx."),
    "evaluate": ("stylefx.evaluation.cli:evaluate", "Measure a checkpoint on a held-out split."),
    "transfer": ("stylefx.inference.cli.transfer:transfer", "Make a recording sound produced like a reference."),
    "render": ("stylefx.inference.cli.render:render", "Render a recording with settings; needs no model."),
    "export": ("stylefx.inference.cli.export:export", "Write settings for ffmpeg, SoX, pedalboard or REAPER."),
    "export-model": ("stylefx.inference.cli.export_model:export_model", "Write a model for ONNX runtimes or torch.export."),
    "studio": ("stylefx.studio.cli:studio", "Transfer styles on a local page; browse a corpus."),
    "train-proxy": ("stylefx.experiments.cli:train_proxy", "Train a neural proxy of an effect."),
    "compare-strategies": ("stylefx.experiments.cli:compare_strategies", "Measure the differentiation strategies side by side."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, program="stylefx", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stylefx")
def cli() -> None:
    """Style transfer of audio effects."""


def main() -> None:
    run(cli)


if __name__ == "__main__":
    main()
