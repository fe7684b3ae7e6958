"""Convolution with fixed weights, float32 as it says: cuDNN rounds its inputs to TF32 unless it is told not to, also backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d


def fixed_convolution(x: Tensor, weights: Tensor) -> Tensor:
    """``conv1d`` of x (rows, channels, n) and weights (out, channels, taps), which have no gradient."""
    return _Exact.apply(x, weights) if x.is_cuda else conv1d(x, weights)  # type: ignore[no-untyped-call]


class _Exact(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        with _no_tf32():
            return conv1d(x, weights)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        with _no_tf32():
            return conv_transpose1d(upstream, ctx.saved_tensors[0]), None


@contextmanager
def _no_tf32() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    keep = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
    with cudnn.flags(**keep, allow_tf32=False):
        yield
