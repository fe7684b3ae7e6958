"""Gradient steps on the controls, from the prediction to what the intent asks for, with a prior that holds them near it.

Under *balance* the output of the input's windows must resemble the references' windows: in the average spectrum (level of the
mean power, mean level and its spread, per band) and in the dynamics (quantiles of level and peak, crest factors, how fast
levels rise and fall). Under *style* that would carry the references' own voices and arrangements over; there the equaliser's
bands are brought nearer to the curve that the model believes in, which they could not follow exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from stylefx.differentiable import DifferentiableChain
from stylefx.errors import UserError
from stylefx.inference.hearing.predict import Prediction, check_weights, pooled
from stylefx.inference.hearing.windows import Analysis
from stylefx.models.features import Dynamics, LogBands, average_spectrum
from stylefx.models.intents import BALANCE, intent_number
from stylefx.models.solver.controller import SolverController

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel

LEARNING_RATE = 0.02
PRIOR_DB = 6.0  # cost of moving one control over its whole range; it grows with the square of the way
_BANDS = 64
_DB = 20.0  # features are in units of 20 dB
_MAX_WINDOWS = 4


@dataclass(frozen=True)
class Refined:
    """Controls (num_controls,) and the distances to the references in dB before and after, with the part of each."""

    controls: np.ndarray
    steps: int
    before: float
    after: float
    parts_before: dict[str, float]
    parts_after: dict[str, float]
    moved: float

    def to_dict(self) -> dict[str, Any]:
        out = asdict(self)
        del out["controls"]
        return {**out, "unit": "dB"}


class StyleDistance(nn.Module):
    """Mean absolute differences in dB between the averaged features of two sets of windows."""

    def __init__(self, sample_rate: float):
        super().__init__()
        self.sample_rate = sample_rate
        self.bands, self.dynamics = LogBands(_BANDS), Dynamics()

    def features(self, audio: Tensor, share: Tensor) -> dict[str, Tensor]:
        """audio (windows, channels, samples), share (windows,) of sum 1 -> averaged features, one row each."""
        mono = audio.mean(dim=1)
        power = self.bands.power(mono, self.sample_rate)
        audible = self.bands.exists(self.sample_rate, audio.device).bool().repeat(3)
        rows = {"spectrum": average_spectrum(power)[:, audible], "dynamics": self.dynamics(mono, self.sample_rate)}
        return {name: (share[:, None] * row).sum(0) for name, row in rows.items()}

    def forward(self, a: dict[str, Tensor], b: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: _DB * (a[name] - b[name]).abs().mean() for name in a}


def refine(
    model: StyleTransferModel,
    prediction: Prediction,
    source: Analysis,
    references: Sequence[Analysis],
    weights: Sequence[float],
    steps: int,
    intent: str | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Refined:
    """``steps`` steps of Adam from the predicted controls; the best controls seen are returned, so never worse ones.

    ``intent`` None is the one that the model means by itself; a model that knows no intents was taught balance by halves of one
    recording. UserError for a style that the model has no belief about.
    """
    share = check_weights(weights, len(references))
    intent = intent or (model.intents[0] if model.intents else BALANCE)
    if intent == BALANCE:
        measure = _to_references(model, source, references, share)
    else:
        measure = to_belief(model, source, references, share, intent)
    return _descend(measure, prediction, steps, on_step)


Measure = Callable[[Tensor], dict[str, Tensor]]


def _to_references(model: StyleTransferModel, source: Analysis, references: Sequence[Analysis], share: list[float]) -> Measure:
    """Controls (num_controls,) -> differences of the output's averages from the references'."""
    rate, chain = float(model.sample_rate), DifferentiableChain(model.chain)
    distance, inputs = StyleDistance(rate), thinned(source)
    with torch.no_grad():
        wanted = reference_features(distance, references, share)
    even = torch.full((len(inputs),), 1 / len(inputs))

    def measure(controls: Tensor) -> dict[str, Tensor]:
        output = chain(inputs, controls.expand(len(inputs), -1), rate)
        return distance(distance.features(output, even), wanted)

    return measure


def to_belief(
    model: StyleTransferModel, source: Analysis, references: Sequence[Analysis], share: list[float], intent: str
) -> Measure:
    """Controls (num_controls,) -> mean difference of the equaliser from the curve that the model wants, up to a constant."""
    controller = model.controller
    if not isinstance(controller, SolverController):
        raise UserError(
            "refining the style needs a model that says which curve it wants (controller: solver), and this one does not; "
            "refine towards the balance, or leave --refine out"
        )
    e_input, e_reference = pooled(model, [source], [1.0])[1], pooled(model, references, share)[1]
    number = torch.tensor([intent_number(intent, model.intents, "the model")], device=e_input.device)
    with torch.no_grad():
        curve = controller.wanted(e_input[None].clone(), e_reference[None].clone(), number).curve_db[0]

    def measure(controls: Tensor) -> dict[str, Tensor]:
        found = controller.response(controls.to(curve.device)[controller.equaliser][None])[0]
        return {"curve": ((found - found.mean()) - (curve - curve.mean())).abs().mean().to(controls.device)}

    return measure


def _descend(measure: Measure, prediction: Prediction, steps: int, on_step: Callable[[int], None] | None = None) -> Refined:
    start = torch.from_numpy(prediction.controls).float()
    controls = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([controls], lr=LEARNING_RATE)
    seen: list[tuple[float, np.ndarray, dict[str, float]]] = []
    for step in range(steps + 1):
        optimiser.zero_grad()
        parts = measure(controls)
        objective = sum(parts.values()) + PRIOR_DB * (controls - start).square().sum()
        values = {name: float(part.detach()) for name, part in parts.items()}
        seen.append((float(objective.detach()), controls.detach().double().numpy().copy(), values))
        if step < steps:
            objective.backward()
            _lower_rate(optimiser, step, steps)
            optimiser.step()
            with torch.no_grad():
                controls.clamp_(0.0, 1.0)
            if on_step is not None:
                on_step(step + 1)
    _, best, after = min(seen, key=lambda s: s[0])
    before = seen[0][2]
    moved = float(np.abs(best - prediction.controls).max())
    return Refined(best, steps, sum(before.values()), sum(after.values()), before, after, moved)


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


def _lower_rate(optimiser: torch.optim.Optimizer, step: int, steps: int) -> None:
    """A linear fall to a tenth: the last steps settle."""
    for group in optimiser.param_groups:
        group["lr"] = LEARNING_RATE * (1 - 0.9 * step / steps)
