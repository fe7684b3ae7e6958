"""The solver's exact response, its steps and its polish, against the effects' own curves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylefx.effects.chain import EffectChain
from stylefx.effects.curves import response_db, with_configs
from stylefx.effects.registry import make_effect
from stylefx.models.solver.doubt import EVEN, equaliser_spread
from stylefx.models.solver.polish import polished
from stylefx.models.solver.response import EqualiserResponse
from stylefx.models.solver.unroll import UnrolledSolver, without_mean
from stylefx.training.warm_up.curves import CurveDraws
from stylefx.training.warm_up.stages import solver_loss

torch.set_num_threads(1)

HZ = torch.logspace(np.log10(40), np.log10(9500), 48, dtype=torch.float64)
CHAINS = {
    "six bands": EffectChain.of(make_effect("parametric_eq"), make_effect("compressor")),
    "two equalisers": EffectChain.of(make_effect("graphic_eq"), make_effect("compressor"), make_effect("parametric_eq")),
    "passes": EffectChain.of(
        make_effect("parametric_eq", bands=[{"kind": "high_pass", "range_hz": [20, 400]}, {"kind": "peak"}, {"kind": "notch"}])
    ),
}


def solver(chain: EffectChain, rate: float = 24000) -> UnrolledSolver:
    response = EqualiserResponse(chain, HZ, rate)
    start = torch.logit(torch.tensor(chain.default_controls, dtype=torch.float32)[response.controls].clamp(0.05, 0.95))
    return UnrolledSolver(response, start, hidden=32)


@pytest.mark.parametrize("rate", [24000, 44100])
@pytest.mark.parametrize("name", CHAINS)
def test_the_response_is_that_of_the_effects(name, rate):
    chain = CHAINS[name]
    response = EqualiserResponse(chain, HZ, rate)
    controls = torch.rand(3, response.num_controls, generator=torch.Generator().manual_seed(1))
    made = response(controls)
    for row, curve in zip(controls.double().numpy(), made, strict=True):
        everything = chain.default_controls
        everything[response.controls] = row
        expected = response_db(with_configs(chain, chain.settings(everything)), rate, HZ.numpy())
        np.testing.assert_allclose(curve.numpy(), expected, atol=2e-3)


def test_a_chain_without_an_equaliser_has_nothing_to_solve():
    response = EqualiserResponse(EffectChain.of(make_effect("compressor")), HZ, 24000)
    assert response.num_controls == 0
    assert torch.equal(response(torch.zeros(2, 0)), torch.zeros(2, 48))


def test_solving_has_gradients_to_the_wanted_curve_and_is_learned_in_seconds():
    torch.manual_seed(0)
    learner, draws = solver(CHAINS["six bands"]), CurveDraws(HZ, 0)
    wanted = draws(16).requires_grad_()
    learner(wanted).square().sum().backward()
    assert wanted.grad.abs().sum() > 0
    optimiser = torch.optim.Adam(learner.parameters(), 2e-3)
    losses = []
    for _ in range(60):
        loss = solver_loss(learner, draws(32))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])


def test_polish_finds_a_curve_that_the_bands_can_make_and_never_moves_away():
    learner = solver(CHAINS["six bands"])
    generator = torch.Generator().manual_seed(2)
    possible = learner.response(torch.sigmoid(learner.start + torch.randn(6, 18, generator=generator)))
    start = learner.start.expand(6, -1)

    def missing(logits: torch.Tensor) -> torch.Tensor:
        return (without_mean(learner.response(torch.sigmoid(logits))) - without_mean(possible)).square().mean(-1).sqrt()

    few, many = (missing(polished(learner.response.exact, possible, start, steps)) for steps in (5, 40))
    assert (few <= missing(start)).all()
    assert (many <= few).all()
    assert many.median() < 0.2
    alone = polished(learner.response.exact, possible[3:4], start[3:4], 40)
    torch.testing.assert_close(alone, polished(learner.response.exact, possible, start, 40)[3:4], atol=1e-4, rtol=0)


def test_controls_are_less_certain_where_the_curve_is():
    learner = solver(CHAINS["six bands"])
    controls = torch.sigmoid(learner.start)
    sure, unsure = (equaliser_spread(learner.response, controls, torch.full((48,), db)) for db in (0.1, 2.0))
    gains = [i for i, p in enumerate(CHAINS["six bands"].effects[0].parameters) if p.name.endswith("gain_db")]
    assert (unsure[gains] > 5 * sure[gains]).all()
    others = [i for i in range(18) if i not in gains]
    assert (sure[others] == EVEN).all(), "where a gain is 0 dB, cutoff and Q may be anything"
