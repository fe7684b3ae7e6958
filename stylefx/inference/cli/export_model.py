"""``stylefx export-model``: a model as a file that other programs run."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.command_line import json_option, out_option, overwrite_option, say, show_json
from stylefx.models.portable.targets import TARGETS


@click.command()
@click.argument("checkpoint", metavar="CKPT")
@click.option("--to", "target", required=True, type=click.Choice(TARGETS), help="The format.")
@out_option("The file to write.", required=True, metavar="FILE")
@overwrite_option()
@json_option("Print the file, what it takes and gives, and how far it is from the model as JSON.")
def export_model(checkpoint: str, target: str, out: str, overwrite: bool, as_json: bool) -> None:
    """Write the model CKPT (a checkpoint, the folder of a training run, or a model that comes with stylefx) for onnxruntime and
    others that read ONNX, or as a program for torch.export.load.

    It takes windows of input and reference, any number at once, and gives the controls of the effects; the file itself says
    their rate, length, level and the meaning of every control. It is run and compared with the model before it gets its name.
    """
    from stylefx.models.portable.write import write_portable

    done = write_portable(checkpoint, target, Path(out), overwrite)
    if as_json:
        show_json({"file": out, "to": target, "difference": done.difference, **done.about})
        return
    rate, samples = done.about["sample_rate_hz"], done.about["window_samples"]
    say(
        f"{out}: {checkpoint} as {target}, windows of {samples} samples at {rate:g} Hz; within {done.difference:.1g} of the model"
    )
