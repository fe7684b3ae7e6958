"""Launches on the device that holds the tensors: Triton takes torch's current one otherwise, whatever its arguments are on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def where(tensor: Tensor) -> Any:
    """Context in which kernels run on the tensor's device; nothing where it is on none (the interpreter)."""
    return torch.cuda.device_of(tensor)
