"""The two stages: the solver on drawn curves, the curve's head on averages to which curves were added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from stylefx.models.solver.controller import SolverController
from stylefx.models.solver.heads import CurveHead
from stylefx.models.solver.panel import lessened
from stylefx.models.solver.unroll import UnrolledSolver, without_mean
from stylefx.training.config import WarmUpConfig
from stylefx.training.warm_up.heard import HeardDistance
from stylefx.training.warm_up.pairs import CurvePairs

_OFFSET_WEIGHT, _LOGIT_WEIGHT = 0.05, 2e-3  # keep the mean of the made curve near 0 dB, controls away from the ends
_SCALE_WEIGHT, _HARM_DB = 0.1, 0.1
_CLIP = 2.0
_GUESS_PAIRS, _GUESS_PENALTY = 12000, 1e3
_WORTH_PAIRS = 1500  # of every head's unknown groups
_LESS_DB = [0.1 * number for number in range(31)]
Report = Callable[[str, int, int], None]


def teach_solver(
    controller: SolverController, draw: Callable[[int], Tensor], steps: int, batch: int, rate: float, report: Report
) -> None:
    """Half of the curves are what the chain can make, from drawn controls, half come from ``draw``."""
    solver, start = controller.solver, controller.solver.start
    generator = torch.Generator().manual_seed(torch.initial_seed() % 2**31)

    def loss() -> Tensor:
        own = batch // 2
        spread = torch.randn(own, len(start), generator=generator) * 2.2 * torch.rand(own, 1, generator=generator)
        with torch.no_grad():
            possible = solver.response(torch.sigmoid(start + spread.to(start)))
        return solver_loss(solver, torch.cat([possible, draw(batch - own).clamp(-40.0, 40.0).to(start)]))

    _descend([*solver.parameters()], loss, steps, rate, lambda done: report("solver", done, steps))


def solver_loss(solver: UnrolledSolver, wanted: Tensor) -> Tensor:
    """How far the made curves are from the wanted ones, (batch, points)."""
    logits = solver(wanted)
    made = solver.response(torch.sigmoid(logits))
    offset = made.mean(dim=-1)
    miss = nn.functional.smooth_l1_loss(without_mean(made), without_mean(wanted))
    level = nn.functional.smooth_l1_loss(offset, torch.zeros_like(offset))
    return miss + _OFFSET_WEIGHT * level + _LOGIT_WEIGHT * (logits - solver.start).square().mean()


def teach_curves(controller: SolverController, pairs: CurvePairs, section: WarmUpConfig, report: Report) -> None:
    """The head of the intent "style"; the balance is the plain difference and needs no teaching. Each head of a panel is taught
    without some of the groups, and what it says of those sets the panel's restraint and scale."""
    panel = controller.curves
    assert panel is not None  # where "style" is among the intents
    if isinstance(panel, CurveHead):
        _teach_head(controller, panel, pairs, section, report)
        return
    seed, count = torch.initial_seed() % 2**31, len(panel.members)
    unseen = []
    for number, head in enumerate(panel.members):
        known, held = pairs.fold(number, count, seed + number)
        _teach_head(controller, cast("CurveHead", head), known, section, report)
        unseen.append(_said_of(controller, cast("CurveHead", head), held, section.batch))
    panel.calibrate(*worth(HeardDistance(pairs.encoder, controller.reading.points), unseen, section.restraint))


def _teach_head(controller: SolverController, head: CurveHead, pairs: CurvePairs, section: WarmUpConfig, report: Report) -> None:
    """The linear map in closed form first, then all of it by descent."""
    reading, batch, steps = controller.reading, section.batch, section.curve_steps
    drawn = [pairs(batch) for _ in range(-(-_GUESS_PAIRS // batch))]
    e_input, e_reference, true_db = (torch.cat(part) for part in zip(*drawn, strict=True))
    head.fit_guess(reading.shapes(e_input, e_reference), without_mean(true_db[:, : reading.points]), _GUESS_PENALTY)
    distance = HeardDistance(pairs.encoder, reading.points).to(e_input.device)

    def loss() -> Tensor:
        return curve_loss(controller, head, distance, pairs(batch), section.restraint)

    head.train()
    _descend([*head.parameters()], loss, steps, section.learning_rate, lambda done: report("curves", done, steps))


def curve_loss(
    controller: SolverController, head: nn.Module, distance: HeardDistance, drawn: tuple[Tensor, ...], restraint: float
) -> Tensor:
    """Mean distance of the curve from the true one in dB, the scale's likelihood, and ``restraint`` times what ends further from
    the truth than doing nothing would."""
    e_input, e_reference, true_db = drawn
    curve, scale = head(controller.reading.shapes(e_input, e_reference))
    curve, true_db = controller.reading.apart(e_input, e_reference) * curve, true_db[:, : curve.shape[-1]]
    error = (without_mean(curve) - without_mean(true_db)).detach().abs()
    likelihood = (error / scale + torch.log(scale)).mean()
    miss, idle = distance(curve, true_db, e_input), distance(torch.zeros_like(curve), true_db, e_input)
    harm = (miss - idle - _HARM_DB).clamp_min(0.0).mean()
    return miss.mean() + _SCALE_WEIGHT * likelihood + restraint * harm


@dataclass(frozen=True)
class Said:
    """What a head made of pairs: its curves and scales, the true curves, (pairs, points) dB each, and the inputs' averages."""

    curve: Tensor
    scale: Tensor
    truth: Tensor
    e_input: Tensor


@torch.no_grad()
def _said_of(controller: SolverController, head: CurveHead, pairs: CurvePairs, batch: int) -> Said:
    head.eval()
    found = []
    for _ in range(-(-_WORTH_PAIRS // batch)):
        e_input, e_reference, true_db = pairs(batch, room_db=0.0)
        curve, scale = head(controller.reading.shapes(e_input, e_reference))
        curve = controller.reading.apart(e_input, e_reference) * curve
        found.append((curve, scale, true_db[:, : curve.shape[-1]], e_input))
    return Said(*(torch.cat(part) for part in zip(*found, strict=True)))


def worth(distance: HeardDistance, unseen: Sequence[Said], restraint: float) -> tuple[float, float]:
    """By how many dB to lessen curves, and by what factor to widen their scale: the best for groups that were not taught."""
    curve, scale = (torch.cat([getattr(said, name) for said in unseen]) for name in ("curve", "scale"))
    truth, e_input = (torch.cat([getattr(said, name) for said in unseen]) for name in ("truth", "e_input"))
    idle = distance(torch.zeros_like(curve), truth, e_input)

    def cost(by_db: float) -> float:
        miss = distance(lessened(curve, by_db), truth, e_input)
        return float(miss.mean() + restraint * (miss - idle - _HARM_DB).clamp_min(0.0).mean())

    least = min(_LESS_DB, key=cost)
    error = (without_mean(lessened(curve, least)) - without_mean(truth)).abs()
    return least, float((error / scale).mean())


def _descend(
    parameters: list[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float, report: Callable[[int], None]
) -> None:
    """AdamW with a half cosine down to nothing."""
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    for step in range(steps):
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimiser.step()
        schedule.step()
        report(step + 1)
    optimiser.zero_grad(set_to_none=True)
