"""The warm-up of a model with a solver: both stages, from the configuration and the corpora."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from stylefx.corpus.reader import Corpus
from stylefx.effects.curves import response_db
from stylefx.errors import UserError
from stylefx.keyed import integer
from stylefx.models.solver.averages import AveragesEncoder
from stylefx.models.solver.controller import SolverController
from stylefx.models.style_transfer import StyleTransferModel
from stylefx.training.config import TrainingConfig
from stylefx.training.online.recipe import online_recipe
from stylefx.training.warm_up.curves import CurveDraws
from stylefx.training.warm_up.pairs import CurvePairs
from stylefx.training.warm_up.stages import Report, teach_curves, teach_solver
from stylefx.training.warm_up.store import measure_dry

_OWN_CURVES = 2000
_LARGEST_DB = 50.0


def warm_up(
    model: StyleTransferModel, config: TrainingConfig, corpora: Sequence[Corpus], report: Report = lambda what, done, of: None
) -> CurvePairs | None:
    """Teach the solver and the curves; returns the pairs of the second stage (None where it is off), which later steps may
    go on with. A pure function of the configuration, the corpora and the model's weights."""
    section, controller = config.warm_up, model.controller
    if not section.solver_steps and not section.curve_steps:
        return None
    if not isinstance(controller, SolverController) or not controller.response.num_controls:
        raise UserError("warm_up teaches the controller 'solver' of a chain with an equaliser; set its steps to 0")
    encoder = cast("AveragesEncoder", model.encoder)  # the only one that the solver reads
    torch.manual_seed(integer(config.seed, "warm-up/networks") >> 1)
    bands = encoder.centres_hz
    draws = CurveDraws(bands, integer(config.seed, "warm-up/curves") >> 2)
    points = controller.reading.points
    if section.solver_steps:
        teach_solver(
            controller, lambda n: draws.rough(n)[:, :points], section.solver_steps, section.batch, section.learning_rate, report
        )
    if not section.curve_steps:
        return None
    pairs = curve_pairs(model, config, corpora, report)
    controller.reading.measure(*pairs(_OWN_CURVES)[:2])
    teach_curves(controller, pairs, section, report)
    return pairs


def curve_pairs(
    model: StyleTransferModel, config: TrainingConfig, corpora: Sequence[Corpus], report: Report = lambda what, done, of: None
) -> CurvePairs:
    """The source of pairs of averages."""
    section = config.warm_up
    if not corpora:
        raise UserError("warm_up.curve_steps starts from the dry halves of corpora, and a stream has none; set it to 0")
    encoder, controller = cast("AveragesEncoder", model.encoder), cast("SolverController", model.controller)
    draws = CurveDraws(encoder.centres_hz, integer(config.seed, "warm-up/styles") >> 2)
    styles = draws(section.items * section.styles).unflatten(0, (section.items, section.styles)) if section.styles else None
    heard = (encoder, model.chain, corpora, section.items, config.seed)
    dry = measure_dry(*heard, lambda n: report("averages", n, section.items), styles)
    controller.reading.measure_halves(*dry.rows[:, :, 0].unbind(1))
    draws = CurveDraws(encoder.centres_hz, integer(config.seed, "warm-up/pairs") >> 2)
    own = own_curves(config, corpora[0], encoder.centres_hz.numpy())
    curves = MixedCurves(own, draws, section.foreign_curves)
    rule = config.data.online.reference
    other_content = 0.0 if rule is None else rule.other_share  # without a rule references are the other halves
    return CurvePairs(dry, encoder, curves, draws, other_content, integer(config.seed, "warm-up/contents") >> 2)


def own_curves(config: TrainingConfig, corpus: Corpus, bands_hz: np.ndarray) -> Tensor:
    """What the run's own chains do to the input and to the target, (curves, 2, bands) dB."""
    chains, drawing = online_recipe(config.data.online, config.seed, corpus.manifest)
    hz = np.minimum(bands_hz, 0.499 * drawing.sample_rate)
    rows = []
    for number in range(_OWN_CURVES):
        recipe = drawing.recipe(chains, f"warm-up/{number}")
        branches = [[s for s in recipe[branch] if s["step"] == "effect"] for branch in ("input", "target")]
        rows.append([response_db(steps, drawing.sample_rate, hz) for steps in branches])
    return torch.from_numpy(np.array(rows)).float().clamp(-_LARGEST_DB, _LARGEST_DB)


class StageReport:
    """Says how far a stage is, at its quarters; ``echo`` None keeps quiet."""

    def __init__(self, echo: Callable[[str], None] | None):
        self.echo, self._said = echo, dict[str, int]()

    def __call__(self, what: str, done: int, of: int) -> None:
        quarter = 4 * done // of
        if self.echo is not None and quarter > self._said.get(what, 0):
            self._said[what] = quarter
            self.echo(f"warm-up: {what} {done} of {of}")


class MixedCurves:
    """(count) -> curves of the input and the reference (count, bands): the run's own, or with ``foreign`` probability drawn
    freely, the input then being as it is in two of three."""

    def __init__(self, own: Tensor, draws: CurveDraws, foreign: float):
        self.own, self.draws, self.foreign = own, draws, foreign

    def __call__(self, count: int) -> tuple[Tensor, Tensor]:
        taken = torch.randint(0, len(self.own), (count,), generator=self.draws.generator)
        before, after = self.own[taken].unbind(1)
        foreign = self.draws.chance(count, self.foreign)
        touched = 0.6 * self.draws.chance(count, 1 / 3)
        return (1 - foreign) * before + foreign * touched * self.draws(count), (1 - foreign) * after + foreign * self.draws(count)
