"""Differentiable saturation: the same four-fold oversampling as the render."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from stylefx.differentiable.operators.convolution import fixed_convolution
from stylefx.differentiable.operators.filtering import filter_sections, worst_padding
from stylefx.differentiable.operators.forms import constants
from stylefx.differentiable.operators.mixing import blend
from stylefx.differentiable.operators.sections import sections_of_band, warped_sections
from stylefx.differentiable.palette.gain import amplitude
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.palette.saturation import DC_BLOCK_HZ, LATENCY, OVERSAMPLING, REACH, oversampling_filter

_Q = math.sqrt(0.5)


@twin_of("saturation")
class SaturationTwin(Twin):
    """``stylefx.effects.palette.saturation``: gradients to drive, bias, tone and mix through both filters."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        drive, bias = amplitude(settings["drive_db"])[:, None, None, None], settings["bias"][:, None, None, None]
        drive, bias = drive.to(audio.dtype), bias.to(audio.dtype)
        up, down = constants(*_polyphase(audio.dtype, audio.device))
        items, channels = audio.shape[:2]
        # The tone filters run from where the wet signal starts: its linear-phase filters ring before the first sample.
        rows = pad(audio, (LATENCY + 2 * REACH, 2 * REACH)).flatten(0, 1)[:, None]
        phases = fixed_convolution(rows, up).unflatten(0, (items, channels))
        shaped = (torch.tanh(drive * phases + bias) - torch.tanh(bias)) / torch.tanh(drive)
        wet = fixed_convolution(shaped.flatten(0, 1), down)[:, 0].unflatten(0, (items, channels))
        tone = settings["tone_hz"]
        zero, q = torch.zeros_like(tone), torch.full_like(tone, _Q)
        sections = [warped_sections("high_pass", zero, torch.full_like(tone, DC_BLOCK_HZ), q, sample_rate)]
        sections += sections_of_band("low_pass", zero, tone, q, sample_rate)
        bands = (("high_pass", 0.0, DC_BLOCK_HZ, _Q), ("low_pass", 0.0, 500.0, _Q))
        worst = (lambda: worst_padding(bands, sample_rate)) if in_range else None
        wet = filter_sections(wet, torch.stack(sections, 1), self.method, worst)[..., LATENCY:]
        return blend(audio, wet, settings["mix"])


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # whoever trains later may use them too
def _polyphase(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weights for conv1d, which correlates: interpolation (4, 1, 33), phase p from taps 4 k + p; decimation (1, 4, 33)."""
    taps = np.pad(oversampling_filter(), (0, OVERSAMPLING))
    centre = REACH * OVERSAMPLING
    lags = np.arange(-REACH, REACH + 1) * OVERSAMPLING
    up = np.stack([OVERSAMPLING * taps[np.clip(centre + lags + p, 0, len(taps) - 1)] for p in range(OVERSAMPLING)])
    down = np.stack([taps[np.clip(centre + lags - p, -1, len(taps) - 1)] for p in range(OVERSAMPLING)])
    weights = up[:, None, ::-1].copy(), down[None, :, ::-1].copy()
    first, second = (torch.as_tensor(w, dtype=dtype, device=device) for w in weights)
    return first, second
