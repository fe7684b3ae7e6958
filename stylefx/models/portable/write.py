"""A checkpoint into a file that another program runs, compared with the model before it gets its name."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylefx.errors import ModelError, first_line
from stylefx.files.atomic import check_free, output_file
from stylefx.models.checkpoint import load_model, read_card
from stylefx.models.portable.predictor import Predictor
from stylefx.models.portable.targets import ONNX

WINDOW_SAMPLES = 131072  # of checkpoints that do not say what they heard in training
DESCRIPTION = "stylefx.json"  # beside the program in the archive of torch.export
_TOLERANCE = 2e-3  # of a control

#: what tracing and converting raise for models that they cannot follow
_CANNOT = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)


@dataclass(frozen=True)
class Written:
    """``difference``: the largest of any control from ``predict``, on three items."""

    file: Path
    about: dict[str, Any]
    difference: float


def write_portable(checkpoint: str | Path, target: str, out: Path, overwrite: bool = False) -> Written:
    """Write what ``--model`` takes for ``target``; ModelError for a model that cannot be exported or comes out another."""
    out = check_free(out, overwrite)
    if target == ONNX:
        for package in ("onnx", "onnxscript", "onnxruntime"):  # before any work
            importlib.import_module(package)
    card, model = read_card(checkpoint), load_model(checkpoint)
    predictor = Predictor(model, int(card.get("segment_samples", WINDOW_SAMPLES))).eval()
    about = predictor.description(str(checkpoint), card["sha256"])
    with output_file(out) as temporary:
        try:
            call = _written(predictor, target, about, temporary)
            difference = _difference(predictor, call)
        except _CANNOT as error:
            raise ModelError(
                f"{checkpoint} cannot be exported to {target}: its encoder {model.encoder.name!r} or controller "
                f"{model.controller.name!r} does what {target} does not follow ({first_line(error)}); give another model, or use "
                "it through stylefx"
            ) from error
        if not difference <= _TOLERANCE:
            raise ModelError(
                f"{checkpoint} as {target} differs from the model by {difference:.2g} of a control's range, more than "
                f"{_TOLERANCE:g}; nothing was written, use it through stylefx"
            )
    return Written(out, about, difference)


def _written(predictor: Predictor, target: str, about: dict[str, Any], path: Path) -> Callable[..., Tensor]:
    """Write the file; returns what it computes."""
    from stylefx.models.portable.program import traced

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = traced(predictor)
    if target == ONNX:
        from stylefx.models.portable.onnx_form import onnx_caller, write_onnx

        write_onnx(program, predictor, about, path)
        return onnx_caller(path)
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={DESCRIPTION: json.dumps(about)})
    with path.open("rb") as file:
        return torch.export.load(file).module()


@torch.no_grad()
def _difference(predictor: Predictor, call: Callable[..., Tensor]) -> float:
    inputs = predictor.examples(3)
    return float((call(*inputs) - predictor(*inputs)).abs().max())
