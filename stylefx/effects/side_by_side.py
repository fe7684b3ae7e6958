"""Two signals through an effect each, side by side where the effects can: the same bits in less time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylefx.effects.base import Effect, Settings, check_audio
from stylefx.effects.kernels.pairs import beside

if TYPE_CHECKING:
    import numpy as np


def render_two(
    effects: tuple[Effect, Effect],
    audio: tuple[np.ndarray, np.ndarray],
    settings: tuple[Settings | None, Settings | None],
    sample_rate: float,
) -> tuple[np.ndarray, np.ndarray]:
    """``Effect.render`` of two signals, float32 (channels, samples) each; what it raises for either."""
    one, other = (check_audio(a) for a in audio)
    first, second = (
        effect.start(effect.complete(given), float(sample_rate), a.shape[0])
        for effect, a, given in zip(effects, (one, other), settings)
    )
    found = None if first.latency or second.latency else beside(first, second, one, other)
    if found is not None:
        return found
    return effects[0].render(one, settings[0], sample_rate), effects[1].render(other, settings[1], sample_rate)
