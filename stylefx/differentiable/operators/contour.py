"""Long resonant filters given by their transfer function, exactly, by FFTs on a circle outside the unit circle.

A feedback delay may ring for minutes: a frequency response sampled on the unit circle would wrap around. On the circle
|z| = r > 1 the response h[n] becomes h[n] r^-n, which dies within the FFT (S. Schlecht and others call it the exponential
window): x[n] r^-n is filtered with H(r e^jw), and the result multiplied by r^n. With r^-N = 1e-9 for N points the wrapped
part is below 1e-9, and N = 2 n leaves rounding at 1e-16 x 3e4: both far below single precision. Needs float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stylefx.differentiable.operators.frequency import fft_length
from stylefx.differentiable.operators.scans import state_dtype

_WRAPPED = {torch.float64: 1e-9, torch.float32: 1e-3}


def filter_on_contour(audio: Tensor, transfer: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """audio (items, channels, n) through H; ``transfer(log_magnitude, angle)`` gives H(z) at z = exp(log_magnitude + j angle),
    angle (bins,), complex (items, bins). Gradients to the audio and, through ``transfer``, to whatever H depends on."""
    samples, dtype = audio.shape[-1], state_dtype(audio.device)
    length = fft_length(2 * samples)
    slope = -math.log(_WRAPPED[dtype]) / length
    decay = torch.exp(-slope * torch.arange(samples, dtype=dtype, device=audio.device))
    angle = torch.arange(length // 2 + 1, dtype=dtype, device=audio.device) * (2.0 * math.pi / length)
    response = transfer(torch.full((), slope, dtype=dtype, device=audio.device), angle)
    spectrum = torch.fft.rfft(audio.to(dtype) * decay, length)
    return (torch.fft.irfft(spectrum * response[:, None], length)[..., :samples] / decay).to(audio.dtype)
