"""References weighted apart for tone and dynamics: two predictions, of which each effect takes its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from stylefx.effects.chain import EffectChain
from stylefx.inference.hearing.amounts import DYNAMICS
from stylefx.inference.hearing.predict import Prediction, predict
from stylefx.inference.hearing.windows import Analysis

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel


def predict_apart(
    model: StyleTransferModel,
    source: Analysis,
    references: Sequence[Analysis],
    tone: Sequence[float],
    dynamics: Sequence[float],
    intent: str | None = None,
) -> Prediction:
    """``predict`` with one set of weights for what works on dynamics and another for the rest."""
    of_tone = predict(model, source, references, tone, intent)
    if list(tone) == list(dynamics):
        return of_tone
    of_dynamics, mask = predict(model, source, references, dynamics, intent), dynamics_controls(model.chain)
    belief = of_tone.belief
    if belief is not None and of_dynamics.belief is not None:
        own = torch.from_numpy(mask).to(belief.spread.device)
        spread = torch.where(own, of_dynamics.belief.spread, belief.spread)
        belief = replace(belief, spread=spread)
    controls = np.where(mask, of_dynamics.controls, of_tone.controls)
    return Prediction(of_tone.chain, controls, np.where(mask, of_dynamics.by_window, of_tone.by_window), belief)


def dynamics_controls(chain: EffectChain) -> np.ndarray:
    """Which controls belong to an effect that works on dynamics, bool (num_controls,)."""
    return np.array([effect.name in DYNAMICS for effect in chain.effects for _ in effect.parameters])
