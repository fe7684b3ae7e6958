"""Gradient steps on the controls, from the prediction to what is asked for.

Towards the *references* the output of the input's windows must resemble the references' windows: in the average spectrum (level
of the mean power, mean level and its spread, per band) and in the dynamics (quantiles of level and peak, crest factors, how
fast levels rise and fall). That is *balance*. A prior holds the settings near the prediction.

*Between* is for references of the same content, such as halves of one recording: the output must resemble the middle of the
references' averages and its own as predicted. What the reference's stretch happens to play and what the model misread have
nothing to do with each other, so that the middle is nearer to the truth than either.

With other content both would carry the references' own voices and arrangements over; so under *style* the equaliser's bands
are brought nearer to the curve that the model *believes* in, which they could not follow exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stylefx.differentiable import DifferentiableChain
from stylefx.errors import UserError
from stylefx.models.intents import BALANCE, BELIEF, BETWEEN, REFERENCES, intent_number
from stylefx.models.refining.distance import StyleDistance
from stylefx.models.solver.controller import SolverController

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel

LEARNING_RATE = 0.03
PRIOR_DB = 6.0  # cost of moving one control over its whole range; it grows with the square of the way
Measure = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Refined:
    """Controls (num_controls,) and the distances to what was aimed at in dB before and after, with the part of each."""

    controls: np.ndarray
    towards: str
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


@dataclass(frozen=True)
class Sides:
    """What is known of the input and of the references, each made when it is asked for: windows of the input (windows, channels,
    samples) at the model's rate, the references' features as a distance takes them, and the embeddings of both, (D,) each."""

    windows: Callable[[], Tensor]
    features: Callable[[StyleDistance], dict[str, Tensor]]
    embeddings: Callable[[], tuple[Tensor, Tensor]]


def refined(
    model: StyleTransferModel,
    predicted: np.ndarray,
    sides: Sides,
    steps: int,
    intent: str | None = None,
    towards: str | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Refined:
    """``steps`` steps from the predicted controls ``towards`` "belief", "references" or "between"; None is what the intent asks
    for, and ``intent`` None the one that the model means by itself: one that knows none was taught balance by halves of one
    recording. UserError for a style that the model has no belief about."""
    meant = intent or (model.intents[0] if model.intents else BALANCE)
    towards = towards or (REFERENCES if meant == BALANCE else BELIEF)
    if towards == BELIEF:
        believing(model)  # before anything is heard
        measure = to_belief(model, *sides.embeddings(), intent)
    else:
        distance = StyleDistance.as_heard_by(model)
        with torch.no_grad():
            wanted = sides.features(distance)
        measure = to_references(model, distance, sides.windows(), wanted, predicted if towards == BETWEEN else None)
    return _descend(measure, predicted, towards, steps, on_step)


def to_references(
    model: StyleTransferModel,
    distance: StyleDistance,
    inputs: Tensor,
    wanted: dict[str, Tensor],
    predicted: np.ndarray | None = None,
) -> Measure:
    """Windows of the input (windows, channels, samples) at the model's rate, the references' features -> measure: controls
    (num_controls,) -> differences of the output's averages from them; with ``predicted`` controls from the middle of both."""
    rate, chain = float(model.sample_rate), DifferentiableChain(model.chain)
    even = torch.full((len(inputs),), 1 / len(inputs))

    def heard(controls: Tensor) -> dict[str, Tensor]:
        return distance.features(chain(inputs, controls.expand(len(inputs), -1), rate), even)

    if predicted is not None:
        with torch.no_grad():
            own = heard(torch.from_numpy(predicted).float())
        wanted = {name: (row + own[name]) / 2 for name, row in wanted.items()}
    return lambda controls: distance(heard(controls), wanted)


def believing(model: StyleTransferModel) -> SolverController:
    """The controller of a model that says which curve it wants; UserError for another."""
    if not isinstance(model.controller, SolverController):
        raise UserError(
            "refining the style needs a model that says which curve it wants (controller: solver), and this one does not; "
            "refine towards the references, or leave --refine out"
        )
    return model.controller


def to_belief(model: StyleTransferModel, e_input: Tensor, e_reference: Tensor, intent: str | None) -> Measure:
    """Embeddings of both sides (D,) -> measure: controls (num_controls,) -> mean difference of the equaliser from the curve that
    the model wants, up to a constant. UserError for a model that wants none."""
    controller = believing(model)
    number = torch.tensor([intent_number(intent, model.intents, "the model")], device=e_input.device)
    with torch.no_grad():
        curve = controller.curve(e_input[None].clone(), e_reference[None].clone(), number)[0][0]

    def measure(controls: Tensor) -> dict[str, Tensor]:
        found = controller.response(controls.to(curve.device)[controller.equaliser][None])[0]
        return {"curve": ((found - found.mean()) - (curve - curve.mean())).abs().mean().to(controls.device)}

    return measure


def _descend(
    measure: Measure, predicted: np.ndarray, towards: str, steps: int, on_step: Callable[[int], None] | None = None
) -> Refined:
    """``steps`` steps of Adam from the predicted controls; the best controls seen are returned, so never worse ones."""
    start = torch.from_numpy(predicted).float()
    prior_db = 0.0 if towards == BETWEEN else PRIOR_DB  # the middle holds the prediction already
    controls = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([controls], lr=LEARNING_RATE, betas=(0.9, 0.98))
    seen: list[tuple[float, np.ndarray, dict[str, float]]] = []
    for step in range(steps + 1):
        optimiser.zero_grad()
        parts = measure(controls)
        objective = sum(parts.values()) + prior_db * (controls - start).square().sum()
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
    moved = float(np.abs(best - predicted).max())
    return Refined(best, towards, steps, sum(before.values()), sum(after.values()), before, after, moved)


def _lower_rate(optimiser: torch.optim.Optimizer, step: int, steps: int) -> None:
    """A linear fall to a tenth: the last steps settle."""
    for group in optimiser.param_groups:
        group["lr"] = LEARNING_RATE * (1 - 0.9 * step / steps)
