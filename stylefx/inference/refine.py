"""``transfer --refine``: gradient steps for what was heard of a recording and its references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stylefx.inference.hearing.predict import Prediction, check_weights, pooled
from stylefx.inference.hearing.windows import Analysis
from stylefx.models.refining.steps import Refined, Sides, refined

if TYPE_CHECKING:
    from stylefx.models.refining.distance import StyleDistance
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
    sides = Sides(
        windows=lambda: thinned(source),
        features=lambda distance: reference_features(distance, references, share),
        embeddings=lambda: both_pooled(model, source, references, share),
    )
    return refined(model, prediction.controls, sides, steps, intent, towards, on_step)


def both_pooled(
    model: StyleTransferModel, source: Analysis, references: Sequence[Analysis], share: list[float]
) -> tuple[Tensor, Tensor]:
    """What all windows of the input and of the references come to, (D,) each."""
    return pooled(model, [source], [1.0])[1], pooled(model, references, share)[1]


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
