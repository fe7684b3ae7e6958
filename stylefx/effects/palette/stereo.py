"""Stereo width (mid/side, A. Blumlein, British patent 394325, 1931) and constant-power pan. Mono passes unchanged."""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.base import Effect, Process, Settings
from stylefx.effects.checks import require_at_least, require_within
from stylefx.effects.palette.gain import ScaleProcess
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import register
from stylefx.errors import UserError


def _mono_or_stereo(effect: str, channels: int) -> None:
    if channels > 2:
        raise UserError(f"{effect}: the audio has {channels} channels; it works on mono and stereo")


@register
class StereoWidth(Effect):
    """Scales the side signal: with M = (L + R) / 2 and S = (L - R) / 2 the output is M + width S and M - width S.

    width 0 is mono, 1 leaves the signal alone, 2 doubles the side; float32 (1 or 2, samples), any rate.
    """

    name = "stereo_width"
    parameters = (Parameter("width", "", 0.0, 2.0, 1.0),)

    def validate(self, settings: Settings) -> None:
        require_at_least(self.name, settings, 0.0, "width")

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        _mono_or_stereo(self.name, channels)
        same, other = 0.5 * (1.0 + settings["width"]), 0.5 * (1.0 - settings["width"])
        return ScaleProcess(np.array([[same, other], [other, same]]) if channels == 2 else np.eye(1))


@register
class Pan(Effect):
    """Gains sqrt(2) cos(theta) left and sqrt(2) sin(theta) right, theta = (pan + 1) pi / 4: the sum of their squares is 2
    everywhere, in the middle both are 1.

    pan -1 is left, 0 the middle, 1 right; float32 (1 or 2, samples), any rate.
    """

    name = "pan"
    parameters = (Parameter("pan", "", -1.0, 1.0, 0.0),)

    def validate(self, settings: Settings) -> None:
        require_within(self.name, settings, -1.0, 1.0, "pan")

    def start(self, settings: Settings, sample_rate: float, channels: int) -> Process:
        _mono_or_stereo(self.name, channels)
        theta = (settings["pan"] + 1.0) * math.pi / 4.0
        gains = math.sqrt(2.0) * np.array([math.cos(theta), math.sin(theta)])
        return ScaleProcess(np.diag(gains) if channels == 2 else np.eye(1))
