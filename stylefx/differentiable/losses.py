"""Losses: multi-resolution spectral distance, and the one style transfer is trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylefx.differentiable.operators.forms import full_precision
from stylefx.differentiable.operators.spectral_distance import spectral_distance
from stylefx.errors import UserError

FFT_SIZES = (32, 128, 512, 2048, 8192, 32768)
REDUCTIONS = ("mean", "sum", "none")


class MultiResolutionSTFTLoss(nn.Module):
    """L1 of linear and of log magnitudes of short-time spectra, averaged over resolutions.

    (R. Yamamoto et al., ICASSP 2020; resolutions and terms of C. Steinmetz et al., JAES 70(9), 2022.) Hann windows, hop
    half a window, frames centred and reflected at the ends, power floor 1e-8: the value of auraloss with w_sc 0, w_log_mag
    and w_lin_mag 1. Gradients to output and target; the gradient is computed on the way forward, so the memory is that of
    a few rows at one resolution. The windows are buffers: they move with the module, train never and are not saved.
    """

    def __init__(
        self,
        fft_sizes: Sequence[int] = FFT_SIZES,
        linear_weight: float = 1.0,
        log_weight: float = 1.0,
        reduction: str = "mean",
    ):
        super().__init__()
        if not fft_sizes or any(size < 4 or size % 2 for size in fft_sizes):
            raise UserError(f"FFT sizes must be even and at least 4, got {list(fft_sizes)}")
        if reduction not in REDUCTIONS:
            raise UserError(f"there is no reduction {reduction!r}; known are {', '.join(REDUCTIONS)}")
        self.fft_sizes, self.reduction = tuple(fft_sizes), reduction
        self.linear_weight, self.log_weight = float(linear_weight), float(log_weight)
        for size in self.fft_sizes:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """output, target (items, channels, n), n greater than half the largest FFT -> scalar, or (items,)."""
        output, target = _checked(output, target)
        if output.shape[-1] <= max(self.fft_sizes) // 2:
            raise UserError(
                f"the loss needs more than {max(self.fft_sizes) // 2} samples for its largest FFT, got {output.shape[-1]}"
            )
        with full_precision(output):
            windows = [self._window(size, output) for size in self.fft_sizes]
            return _reduced(spectral_distance(output, target, windows, self.linear_weight, self.log_weight), self.reduction)

    def _window(self, size: int, like: Tensor) -> Tensor:
        if like.dtype == torch.float64:  # the buffers are single precision, as some devices know no other
            return torch.hann_window(size, dtype=torch.float64, device=like.device)
        return getattr(self, f"window_{size}").to(like.dtype)


class StyleTransferLoss(nn.Module):
    """Multi-resolution spectral distance + ``waveform_weight`` (100) x mean absolute difference of the samples."""

    def __init__(self, waveform_weight: float = 100.0, reduction: str = "mean", fft_sizes: Sequence[int] = FFT_SIZES):
        super().__init__()
        self.spectral = MultiResolutionSTFTLoss(fft_sizes, reduction=reduction)
        self.waveform_weight = float(waveform_weight)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """output, target (items, channels, n) -> scalar, or (items,) with reduction "none"."""
        output, target = _checked(output, target)
        difference = (output - target).abs().mean((1, 2))
        return self.spectral(output, target) + self.waveform_weight * _reduced(difference, self.spectral.reduction)


def _checked(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Of equal shape, and at least single precision."""
    if output.shape != target.shape or output.ndim != 3:
        shapes = f"{tuple(output.shape)} and {tuple(target.shape)}"
        raise UserError(f"the loss compares signals of one shape (items, channels, samples), got {shapes}")
    dtype = torch.promote_types(torch.promote_types(output.dtype, target.dtype), torch.float32)
    return output.to(dtype), target.to(dtype)


def _reduced(per_item: Tensor, reduction: str) -> Tensor:
    return per_item if reduction == "none" else per_item.sum() if reduction == "sum" else per_item.mean()
