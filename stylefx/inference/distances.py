"""How far a recording is from its references, before and after: in balance (averages of spectrum and dynamics) and in style (the
curve that the model believes was applied). The two disagree by nature, so both are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stylefx.effects.chain import EffectChain
from stylefx.inference.hearing.windows import Analysis
from stylefx.inference.refine import both_pooled, reference_features, thinned
from stylefx.models.intents import STYLE
from stylefx.models.refining.distance import StyleDistance
from stylefx.models.refining.steps import to_belief

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel

Settings = list[dict[str, Any]]


@torch.no_grad()
def distances(
    model: StyleTransferModel,
    source: Analysis,
    references: Sequence[Analysis],
    share: list[float],
    settings: list[dict[str, Any]],
) -> dict[str, dict[str, float]]:
    """``settings`` of the model's chain at the model's level -> {"balance": {"before", "after"}, "style": ...} in dB; style only
    where the model says which curve it wants."""
    out = {"balance": _balance(model, source, references, share, settings)}
    if hasattr(model.controller, "wanted") and STYLE in model.intents:
        measure, chain = to_belief(model, *both_pooled(model, source, references, share), STYLE), model.chain
        sides = (chain.default_controls, chain.controls(settings))
        out["style"] = dict(zip(("before", "after"), (_total(measure(_tensor(side))) for side in sides), strict=True))
    return out


def _balance(
    model: StyleTransferModel,
    source: Analysis,
    references: Sequence[Analysis],
    share: list[float],
    settings: list[dict[str, Any]],
) -> dict[str, float]:
    rate = float(model.sample_rate)
    distance, inputs = StyleDistance(rate), thinned(source)
    wanted = reference_features(distance, references, share)
    even = torch.full((len(inputs),), 1 / len(inputs))
    sides = (inputs, _rendered(model.chain, settings, inputs, rate))
    return {
        name: _total(distance(distance.features(side, even), wanted))
        for name, side in zip(("before", "after"), sides, strict=True)
    }


def _rendered(chain: EffectChain, settings: Settings, windows: torch.Tensor, rate: float) -> torch.Tensor:
    return torch.from_numpy(np.stack([chain.render(window, settings, rate) for window in windows.numpy()]))


def _tensor(controls: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(controls).float()


def _total(parts: dict[str, torch.Tensor]) -> float:
    return float(sum(float(part) for part in parts.values()))


def distance_lines(about: dict[str, Any]) -> list[str]:
    """What a listener is told: the intent that was used, and both distances."""
    lines = [f"intent: {about['intent']}"] if about.get("intent") else []
    for name, pair in about.get("distances", {}).items():
        what = "spectrum and dynamics of the references" if name == "balance" else "what the model believes was done to them"
        lines.append(f"{name} distance to {what}: {pair['before']:.2f} -> {pair['after']:.2f} dB")
    return lines
