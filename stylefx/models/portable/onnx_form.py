"""From an exported program to ONNX: what the format or its runtime lacks is written out in what they have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylefx.models.portable.predictor import Predictor

_OPSET = 20
_aten = torch.ops.aten


@torch.no_grad()  # a loop in the graph would be differentiated while it is written out
def write_onnx(program: torch.export.ExportedProgram, predictor: Predictor, about: dict[str, Any], path: Path) -> None:
    """Write one file with its weights inside; ``about`` becomes its metadata ``stylefx``."""
    converted = torch.onnx.export(
        program.run_decompositions(_WRITTEN_OUT),
        input_names=list(predictor.input_names),
        output_names=["controls"],
        opset_version=_OPSET,
        dynamo=True,
        optimize=False,  # its rules take a floor of 1e-10 for zero and leave the addition out
        verbose=False,
    )
    assert converted is not None  # with dynamo=True
    converted.model.metadata_props["stylefx"] = json.dumps(about)
    converted.save(path, external_data=False)


def onnx_caller(path: Path) -> Callable[..., Tensor]:
    """The file as onnxruntime runs it, from tensors to controls."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]

    def call(*inputs: Tensor) -> Tensor:
        fed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, fed)[0])

    return call


def _solved(matrix: Tensor, right: Tensor, *, left: bool = True) -> Tensor:
    """(batch, n, n), (batch, n, m) -> (batch, n, m) by Gauss and Jordan without a search for pivots, which positive definite
    matrices do not need; those of damped least squares are."""
    count, rows = matrix.shape[-1], torch.cat([matrix, right], -1)
    for k in range(count):
        pivot = rows[:, k : k + 1] / rows[:, k : k + 1, k : k + 1]
        rows = rows - rows[:, :, k : k + 1] * pivot
        rows = torch.cat([rows[:, :k], pivot, rows[:, k + 1 :]], 1)
    return rows[..., count:]


def _tangent(x: Tensor) -> Tensor:
    """Below a quarter turn, where those of filters' frequencies are; the runtime has it in single precision only."""
    sine = torch.sin(x)
    return sine / torch.sqrt(1.0 - sine * sine)


def _kth(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    values, places = torch.sort(x, dim=dim)
    at = (values.narrow(dim, k - 1, 1), places.narrow(dim, k - 1, 1))
    return at if keepdim else (at[0].squeeze(dim), at[1].squeeze(dim))


_WRITTEN_OUT: dict[Any, Callable[..., Any]] = {
    _aten.linalg_solve.default: _solved,
    _aten.tan.default: _tangent,
    _aten.hypot.default: lambda x, y: torch.sqrt(x * x + y * y),
    _aten.kthvalue.default: _kth,
}
