"""``solver``: from averages of input and reference to the controls of a chain, and how far each of them could be otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stylefx.effects.chain import EffectChain
from stylefx.models.intents import INTENTS
from stylefx.models.solver.averages import AveragesEncoder
from stylefx.models.solver.doubt import Belief, equaliser_spread, thinned_spread
from stylefx.models.solver.heads import ControlHead, CurveHead
from stylefx.models.solver.panel import CurvePanel
from stylefx.models.solver.polish import polished
from stylefx.models.solver.reading import Reading
from stylefx.models.solver.response import EqualiserResponse
from stylefx.models.solver.unroll import UnrolledSolver, without_mean


@dataclass(frozen=True)
class Wanted:
    """What the controls are solved from: the equaliser's curve and its scale in dB, (batch, points); logits of all controls."""

    curve_db: Tensor
    scale_db: Tensor
    logits: Tensor


class SolverController(nn.Module):
    """Embeddings of ``AveragesEncoder``, (batch, D) each -> controls (batch, num_controls) in (0, 1).

    The curve that the equaliser should make: for "style" what a learned head believes was done to the reference, for "balance"
    the plain difference of the spectra. A solver, common to both, turns it into bands, which in evaluation ``polish`` steps of
    damped least squares bring closer. A head for each intent sets the other controls; with ``after_equaliser`` it reads what
    the bands leave of the input, so that it need not work out what they do to levels. ``curve_heads`` above 1 make a panel of
    ``curve_hidden`` units each. All starts at the neutral settings, and stays there where the averages of both sides are alike.
    """

    name = "solver"
    start: Tensor
    neutral: Tensor
    equaliser: Tensor
    others: Tensor

    def __init__(
        self,
        encoder: AveragesEncoder,
        chain: EffectChain,
        sample_rate: float,
        intents: Sequence[str] = INTENTS,
        hidden: int = 256,
        steps: int = 3,
        dropout: float = 0.3,
        polish: int = 6,
        after_equaliser: bool = False,
        curve_heads: int = 1,
        curve_hidden: int | None = None,
    ):
        super().__init__()
        if not isinstance(encoder, AveragesEncoder):
            raise ValueError("the solver reads the numbers of the encoder 'averages'")
        if curve_heads < 1:
            raise ValueError(f"curve_heads is {curve_heads}; give 1 or more")
        if not intents or not set(intents) <= set(INTENTS):
            raise ValueError(f"intents are {list(intents)}; choose among {', '.join(INTENTS)}")
        self.intents, self.hidden, self.steps = tuple(intents), hidden, steps
        self.dropout, self.polish, self.after_equaliser = dropout, polish, after_equaliser
        start = torch.logit(torch.as_tensor(chain.default_controls, dtype=torch.float32).clamp(0.05, 0.95))
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("neutral", torch.as_tensor(chain.default_controls, dtype=torch.float32), persistent=False)
        self.reading = Reading(encoder, sample_rate)
        self.response = EqualiserResponse(chain, self.reading.points_hz, sample_rate)
        others = [i for i in range(chain.num_controls) if i not in set(self.response.controls)]
        self.register_buffer("equaliser", torch.tensor(self.response.controls, dtype=torch.long), persistent=False)
        self.register_buffer("others", torch.tensor(others, dtype=torch.long), persistent=False)
        self.solver = UnrolledSolver(self.response, start[self.equaliser], steps, hidden)
        points, shapes, everything = self.reading.points, self.reading.shape_size, self.reading.full_size
        everything += 1 if after_equaliser else 0
        learned = "style" in self.intents and self.response.num_controls
        self.curve_heads, self.curve_hidden = curve_heads, curve_hidden
        self.curves: CurveHead | CurvePanel | None = None
        if learned:
            sizes = (shapes, points, curve_hidden or hidden, dropout)
            self.curves = CurveHead(*sizes) if curve_heads == 1 else CurvePanel(curve_heads, *sizes)
        self.settings = nn.ModuleDict({i: ControlHead(everything + points, len(others), hidden, dropout) for i in self.intents})

    def wanted(self, e_input: Tensor, e_reference: Tensor, intent: Tensor | None = None) -> Wanted:
        """``intent`` (batch,) counts in ``intents``; the first where it is not given."""
        which = torch.zeros(e_input.shape[0], dtype=torch.long, device=e_input.device) if intent is None else intent
        curve, scale = self.curve(e_input, e_reference, which)
        solved = self._solved(curve) if self.response.num_controls else curve[:, :0]
        full = self._full(e_input, e_reference, curve, solved)
        offsets = _chosen([self.settings[i](full) for i in self.intents], which)
        logits = self.start.expand(e_input.shape[0], -1).index_add(1, self.others, offsets)
        if self.response.num_controls:
            logits = logits.index_copy(1, self.equaliser, solved)
        return Wanted(curve, scale, logits)

    def _solved(self, curve: Tensor) -> Tensor:
        """Logits of the equaliser's controls. In training the learned solver alone makes them; it has gradients."""
        logits = self.solver(curve)
        return logits if self.training or not self.polish else polished(self.response.exact, curve, logits, self.polish)

    def _full(self, e_input: Tensor, e_reference: Tensor, curve: Tensor, solved: Tensor) -> Tensor:
        """What the heads of the other controls read: the input as the solved bands leave it where ``after_equaliser``."""
        curve, heard = curve.detach() / 10.0, e_input
        if not self.after_equaliser:
            return torch.cat([self.reading.full(heard, e_reference), curve], dim=-1)
        if self.response.num_controls:
            heard = self.reading.equalised(e_input, self.response(torch.sigmoid(solved.detach())))
        apart = self.reading.loudness_apart(heard, e_reference)
        return torch.cat([self.reading.full(heard, e_reference), curve, apart], dim=-1)

    @torch.no_grad()
    def belief(self, e_input: Tensor, e_reference: Tensor, wanted: Wanted, intent: Tensor | None = None) -> Belief:
        """Of one pair, (1, D) each, and what is ``wanted`` of it: how far every control could be otherwise."""
        number = 0 if intent is None else int(intent[0])
        spread = torch.zeros(len(self.start), device=e_input.device)
        if self.response.num_controls:
            controls = torch.sigmoid(wanted.logits[0, self.equaliser])
            spread[self.equaliser] = equaliser_spread(self.response, controls, wanted.scale_db[0])
        if len(self.others):
            solved = wanted.logits[:, self.equaliser]
            features = self._full(e_input, e_reference, wanted.curve_db, solved)
            spread[self.others] = thinned_spread(self.settings[self.intents[number]], features, self.start[self.others])
        return Belief(self.reading.points_hz, wanted.curve_db[0], wanted.scale_db[0], spread)

    def curve(self, e_input: Tensor, e_reference: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The equaliser's curve without its mean, and its scale, dB (batch, points)."""
        difference = self.reading.difference_db(e_input, e_reference)
        if not self.response.num_controls:
            return torch.zeros_like(difference), torch.ones_like(difference)
        found = {"balance": lambda: (difference, self.reading.half_scale_db.expand_as(difference))}
        found["style"] = lambda: self.style_curve(e_input, e_reference)
        both = [found[i]() for i in self.intents]
        return without_mean(_chosen([c for c, _ in both], which)), _chosen([s for _, s in both], which)

    def style_curve(self, e_input: Tensor, e_reference: Tensor) -> tuple[Tensor, Tensor]:
        """What the head of "style" says, dB (batch, points) each."""
        assert self.curves is not None  # where "style" is among the intents
        curve, scale = self.curves(self.reading.shapes(e_input, e_reference))
        return self.reading.apart(e_input, e_reference) * curve, scale

    def style_embedding(self, rows: Tensor) -> Tensor | None:
        """Averages (batch, D) -> what was done to those recordings as far as can be told without an input: the curve in dB by
        which they differ from the mean recording that was processed by nobody, (batch, points); None without that intent."""
        if self.curves is None:
            return None
        return without_mean(self.curves(self.reading.beside_the_mean(rows))[0])

    def forward(self, e_input: Tensor, e_reference: Tensor, intent: Tensor | None = None) -> Tensor:
        return self.settled(self.wanted(e_input, e_reference, intent), e_input, e_reference)

    def settled(self, wanted: Wanted, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """The controls for what is wanted of a pair: what does not differ is left alone."""
        controls = torch.sigmoid(wanted.logits.float())
        apart = self.reading.apart(e_input, e_reference)
        others = torch.lerp(self.neutral[self.others], controls[:, self.others], apart)
        return controls.index_copy(1, self.others, others)

    def options(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "intents": list(self.intents),
            "hidden": self.hidden,
            "steps": self.steps,
            "dropout": self.dropout,
            "polish": self.polish,
            "after_equaliser": self.after_equaliser,
            "curve_heads": self.curve_heads,
            "curve_hidden": self.curve_hidden,
        }


def _chosen(per_intent: list[Tensor], which: Tensor) -> Tensor:
    """One row of (batch, n) from each intent's tensor -> those that ``which`` (batch,) names."""
    if len(per_intent) == 1:
        return per_intent[0]
    return torch.stack(per_intent, dim=1)[torch.arange(which.shape[0], device=which.device), which]
