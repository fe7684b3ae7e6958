"""From windows to settings: embeddings averaged over windows and references, controls, and how far windows agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.inference.windows import Analysis

if TYPE_CHECKING:
    from stylefx.models import StyleTransferModel

_BATCH = 4
_CURVE_HZ = np.geomspace(30.0, 16000.0, 96)
_CURVE_DB = np.linspace(-60.0, 0.0, 61)


@dataclass(frozen=True)
class Prediction:
    """Controls (num_controls,) in [0, 1]; ``by_window`` (windows, num_controls): what single windows of the input, then of
    the references, lead to with the average of the other side."""

    chain: EffectChain
    controls: np.ndarray
    by_window: np.ndarray


@torch.inference_mode()
def predict(model: StyleTransferModel, source: Analysis, references: Sequence[Analysis], weights: Sequence[float]) -> Prediction:
    """Predict the controls that bring ``source`` to the style of the weighted references."""
    share = check_weights(weights, len(references))
    inputs = embed(model, source)
    styles = [embed(model, r) for r in references]
    e_input = mean_direction(inputs, torch.full((len(inputs),), 1 / len(inputs)))
    each = torch.cat(styles)
    window_share = torch.cat([torch.full((len(s),), w / len(s)) for s, w in zip(styles, share, strict=True)])
    e_style = mean_direction(each, window_share)
    controls = model.controls(e_input[None], e_style[None])[0]
    rows = [model.controls(inputs, e_style.expand(len(inputs), -1)), model.controls(e_input.expand(len(each), -1), each)]
    return Prediction(model.chain, _numpy(controls), _numpy(torch.cat(rows)))


def embed(model: StyleTransferModel, analysis: Analysis) -> torch.Tensor:
    """Embeddings of all windows, (windows, D), a few at a time."""
    audio = torch.from_numpy(analysis.batch())
    return torch.cat([model.embed(part) for part in audio.split(_BATCH)])


def mean_direction(embeddings: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The weighted mean of (n, D) with the mean length of its members: what is normalised stays normalised."""
    share = share.to(embeddings).unsqueeze(1)
    mean = (share * embeddings).sum(0)
    length = (share * embeddings.norm(dim=1, keepdim=True)).sum()
    return mean * (length / mean.norm().clamp_min(1e-12))


def check_weights(weights: Sequence[float], count: int) -> list[float]:
    """Positive weights, one per reference (none: all alike), scaled to a sum of one."""
    weights = list(weights) or [1.0] * count
    if len(weights) != count:
        raise UserError(f"there are {count} references and {len(weights)} weights; give one weight per reference")
    if not all(np.isfinite(w) and w > 0 for w in weights):
        raise UserError(f"the weights are {', '.join(f'{w:g}' for w in weights)}; give positive numbers")
    return [w / sum(weights) for w in weights]


def confidence(chain: EffectChain, by_window: Sequence[list[dict]], sample_rate: float) -> dict:
    """How far the windows agree, from the settings (of ``chain``) that each window leads to.

    Standard deviations over windows of the equaliser's curve and of the dynamics' static curves (dB, averaged over frequency
    and level), and the 10-90 % span of every parameter in its unit. A small spread says that the windows agree, not that
    they are right.
    """
    names = [effect.name for effect in chain.effects]
    spans, spreads = {}, {}
    for i, effect in enumerate(chain.effects):
        values = [settings[i]["settings"] for settings in by_window]
        key = effect.name if names.count(effect.name) == 1 else f"{i}.{effect.name}"
        spans[key] = {p.name: [float(q) for q in np.percentile([v[p.name] for v in values], (10, 90))] for p in effect.parameters}
        curve = _curve(effect, values, sample_rate)
        if curve is not None:
            spreads[key] = float(curve.std(axis=0).mean())
    overall = max(spreads.values(), default=0.0)
    return {"windows": len(by_window), "agreement": _word(overall), "curve_spread_db": spreads, "span_10_90": spans}


def _curve(effect, values: list[dict], sample_rate: float) -> np.ndarray | None:
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
