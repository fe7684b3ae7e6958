"""``transfer --refine``: gradient steps for what was heard of a recording and its references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stylefx.inference.hearing.predict import Prediction, check_weights, pooled
from stylefx.inference.hearing.windows import Analysis
from stylefx.models.intents import BELIEF, BETWEEN
from stylefx.models.refining.distance import StyleDistance
from stylefx.models.refining.steps import Measure, Refined, believing, descend, to_belief, to_references, what_to_approach

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel

_MAX_WINDOWS = 4


def refine(
    model: StyleTransferModel,
    prediction: Prediction,
    source: Analysis,
    references: Sequence[Analysis],
    weights: Sequence[float],
    steps: int,
    intent: str | None = None,
    on_step: Callable[[int], None] | None = None,
    towards: str | None = None,
) -> Refined:
    """``steps`` steps from the predicted controls.

    ``towards`` is "belief", "references", "between" or None for what the intent asks for. UserError for a style
    that the model has no belief about.
    """
    share = check_weights(weights, len(references))
    towards = what_to_approach(model, intent, towards)
    if towards == BELIEF:
        measure = to_heard_belief(model, source, references, share, intent)
    else:
        with torch.no_grad():
            wanted = reference_features(StyleDistance.as_heard_by(model), references, share)
        measure = to_references(model, thinned(source), wanted, prediction.controls if towards == BETWEEN else None)
    return descend(measure, prediction.controls, towards, steps, on_step)


def to_heard_belief(
    model: StyleTransferModel, source: Analysis, references: Sequence[Analysis], share: list[float], intent: str | None
) -> Measure:
    """``to_belief`` of all that was heard."""
    believing(model)  # before anything is heard
    e_input, e_reference = pooled(model, [source], [1.0])[1], pooled(model, references, share)[1]
    return to_belief(model, e_input, e_reference, intent)


def reference_features(distance: StyleDistance, references: Sequence[Analysis], share: list[float]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for reference, weight in zip(references, share, strict=True):
        windows = thinned(reference)
        row = distance.features(windows, torch.full((len(windows),), weight / len(windows)))
        total = {name: total.get(name, 0) + value for name, value in row.items()}
    return total


def thinned(analysis: Analysis) -> Tensor:
    """At most four windows, (windows, 1, samples): more cost time and memory and change little."""
    batch = analysis.batch()
    picks = np.unique(np.linspace(0, len(batch) - 1, min(len(batch), _MAX_WINDOWS)).round().astype(int))
    return torch.from_numpy(batch[picks])
