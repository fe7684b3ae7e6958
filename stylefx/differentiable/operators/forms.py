"""Which form of an operator runs where: compiled loops on the CPU, Triton kernels on CUDA, plain torch elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Any

import torch
from torch import Tensor

_HAS_TRITON = importlib.util.find_spec("triton") is not None
_read_by_graphs: list[Tensor] = []  # never freed: a few constants for each graph


def uses_triton(tensor: Tensor) -> bool:
    """Triton comes with torch's CUDA builds; where it is missing, plain torch does the same."""
    return tensor.device.type == "cuda" and _HAS_TRITON and torch.version.hip is None


def default_form(tensor: Tensor) -> str:
    """ "compiled", "triton" or "scan"."""
    if tensor.device.type == "cpu":
        return "compiled"
    return "triton" if uses_triton(tensor) else "scan"


def full_precision(tensor: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Autocast off: rounding to half precision would cost more than the whole error budget."""
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else contextlib.nullcontext()


def constants(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors of a cache that may forget them. Those that a CUDA graph is being recorded to read live as long as the process."""
    if tensors[0].is_cuda and torch.cuda.is_current_stream_capturing():
        _read_by_graphs.extend(tensors)
    return tensors
