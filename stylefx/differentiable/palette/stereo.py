"""Differentiable stereo width and pan. Mono passes unchanged."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stylefx.differentiable.registry import Twin, twin_of
from stylefx.errors import UserError


def _is_stereo(effect: str, audio: Tensor) -> bool:
    if audio.shape[1] > 2:
        raise UserError(f"{effect}: the audio has {audio.shape[1]} channels; it works on mono and stereo")
    return audio.shape[1] == 2


def _unchanged(audio: Tensor, value: Tensor) -> Tensor:
    """A copy that depends on the value by nothing: its gradient is then 0, not missing."""
    return audio + 0.0 * value.to(audio.dtype)[:, None, None]


@twin_of("stereo_width")
class StereoWidthTwin(Twin):
    """``stylefx.effects.palette.stereo``: M + width S and M - width S, as what width adds to the audio: the gradient of a
    width is then a sum over S alone, not a difference of two over M + S."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        if not _is_stereo("stereo_width", audio):
            return _unchanged(audio, settings["width"])
        side = 0.5 * (audio - audio.flip(1))
        return audio + (settings["width"] - 1.0).to(audio.dtype)[:, None, None] * side


@twin_of("pan")
class PanTwin(Twin):
    """``stylefx.effects.palette.stereo``: gains sqrt(2) cos and sin of (pan + 1) pi / 4."""

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        if not _is_stereo("pan", audio):
            return _unchanged(audio, settings["pan"])
        theta = (settings["pan"] + 1.0) * (math.pi / 4.0)
        gains = math.sqrt(2.0) * torch.stack([torch.cos(theta), torch.sin(theta)], -1)
        return audio * gains.to(audio.dtype)[:, :, None]
