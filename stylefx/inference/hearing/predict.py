"""From windows to settings: embeddings pooled over windows and references, controls, and how far windows agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.inference.hearing.windows import Analysis

if TYPE_CHECKING:
    from stylefx.models.solver.doubt import Belief
    from stylefx.models.style_transfer import StyleTransferModel

_BATCH = 4
_CURVE_HZ = np.geomspace(30.0, 16000.0, 96)
_CURVE_DB = np.linspace(-60.0, 0.0, 61)


@dataclass(frozen=True)
class Prediction:
    """Controls (num_controls,) in [0, 1]; ``by_window`` (windows, num_controls): what single windows of the input, then of
    the references, lead to with the average of the other side; ``belief``: what the model says of itself, if it does."""

    chain: EffectChain
    controls: np.ndarray
    by_window: np.ndarray
    belief: Belief | None = None


@torch.inference_mode()
def predict(
    model: StyleTransferModel,
    source: Analysis,
    references: Sequence[Analysis],
    weights: Sequence[float],
    intent: str | None = None,
) -> Prediction:
    """Predict the controls that bring ``source`` to the style of the weighted references."""
    inputs, e_input = pooled(model, [source], [1.0])
    each, e_style = pooled(model, references, check_weights(weights, len(references)))
    controls, belief = model.controls_and_belief(e_input[None], e_style[None], intent)
    sides = ((inputs, e_style.expand(len(inputs), -1)), (e_input.expand(len(each), -1), each))
    rows = [model.controls(*side, intent) for side in sides]
    return Prediction(model.chain, _numpy(controls[0]), _numpy(torch.cat(rows)), belief)


@torch.inference_mode()
def pooled(model: StyleTransferModel, heard: Sequence[Analysis], share: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of all windows of the recordings, (windows, D), and what they come to together, (D,)."""
    each = [embed(model, recording) for recording in heard]
    window_share = torch.cat([torch.full((len(e),), s / len(e), device=e.device) for e, s in zip(each, share, strict=True)])
    windows = torch.cat(each)
    return windows, model.encoder.pool(windows, window_share)


@torch.inference_mode()
def embed(model: StyleTransferModel, analysis: Analysis) -> torch.Tensor:
    """Embeddings of all windows, (windows, D), a few at a time, where the model is; once for each model."""
    if model not in analysis.embedded:
        audio, device = torch.from_numpy(analysis.batch()), next(model.parameters()).device
        analysis.embedded[model] = torch.cat([model.embed(part.to(device)) for part in audio.split(_BATCH)])
    return analysis.embedded[model]


def check_weights(weights: Sequence[float], count: int) -> list[float]:
    """Weights from 0 on, one per reference (none: all alike), scaled to a sum of one."""
    weights = list(weights) or [1.0] * count
    if len(weights) != count:
        raise UserError(f"there are {count} references and {len(weights)} weights; give one weight per reference")
    if not all(np.isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise UserError(f"the weights are {', '.join(f'{w:g}' for w in weights)}; give numbers from 0 on, one of them positive")
    return [w / sum(weights) for w in weights]


def confidence(
    chain: EffectChain,
    by_window: Sequence[list[dict[str, Any]]],
    sample_rate: float,
    doubt_db: float | None = None,
    likely: Sequence[list[dict[str, Any]]] = (),
) -> dict[str, Any]:
    """How far the windows agree, from the settings (of ``chain``) that each window leads to, and how sure the model is.

    Standard deviations over windows of the equaliser's curve and of the dynamics' static curves (dB, averaged over frequency
    and level), and the 10-90 % span of every parameter in its unit. A small spread says that the windows agree, not that
    they are right. ``doubt_db`` is the model's own scale of its equaliser's curve, ``likely`` the settings at the lower and the
    upper end of what it thinks likely (10 and 90 %); the word takes the larger of doubt and disagreement.
    """
    names = [effect.name for effect in chain.effects]
    spans, spreads, believed = {}, {}, {}
    for i, effect in enumerate(chain.effects):
        values = [settings[i]["settings"] for settings in by_window]
        key = effect.name if names.count(effect.name) == 1 else f"{i}.{effect.name}"
        spans[key] = {p.name: [float(q) for q in np.percentile([v[p.name] for v in values], (10, 90))] for p in effect.parameters}
        if likely:
            ends = [settings[i]["settings"] for settings in likely]
            believed[key] = {p.name: sorted(float(v[p.name]) for v in ends) for p in effect.parameters}
        curve = _curve(effect, values, sample_rate)
        if curve is not None:
            spreads[key] = float(curve.std(axis=0).mean())
    overall = max([*spreads.values(), doubt_db or 0.0])
    out = {"windows": len(by_window), "agreement": _word(overall), "curve_spread_db": spreads, "span_10_90": spans}
    return out if doubt_db is None else out | {"model_doubt_db": doubt_db, "model_10_90": believed}


def agreement_line(confidence: dict[str, Any]) -> str:
    """One line for terminal and page."""
    doubt = confidence.get("model_doubt_db")
    own = "" if doubt is None else f", the model's own doubt about the equaliser +-{doubt:.1f} dB"
    return f"agreement of {confidence['windows']} windows{own}: {confidence['agreement']}"


def _curve(effect: Effect, values: list[dict[str, Any]], sample_rate: float) -> np.ndarray | None:
    """What the effect does, in dB, (windows, points): over frequency or over level, without its constant gain."""
    if hasattr(effect, "response_db"):
        freqs = _CURVE_HZ[0.45 * sample_rate > _CURVE_HZ]
        return np.stack([effect.response_db(v, freqs, sample_rate) for v in values])
    if hasattr(effect, "static_curve_db"):
        curves = np.stack([effect.static_curve_db(v, _CURVE_DB) for v in values])
        return curves - curves.mean(axis=1, keepdims=True)
    return None


def _word(spread_db: float) -> str:
    return "good" if spread_db < 1.5 else "fair" if spread_db < 4.0 else "poor"


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.double().cpu().clamp(0, 1).numpy()
