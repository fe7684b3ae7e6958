"""SPSA: the mean of its estimates is the gradient, inside and at the bounds."""

import numpy as np
import pytest
import torch

from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.strategies import make_strategy

RATE = 24000.0


class Smooth:
    """A black box with a known gradient: audio scaled by a smooth function of all controls."""

    weights = np.array([0.8, -0.5, 0.3, 0.2])

    def gain(self, c):
        return 1.0 + np.dot(self.weights, c) + 0.3 * c[0] * c[1]

    def __call__(self, audio, controls, sample_rate):
        return (audio.astype(np.float64) * self.gain(controls)).astype(np.float64)

    def gradient(self, c):
        g = self.weights.copy()
        g[0] += 0.3 * c[1]
        g[1] += 0.3 * c[0]
        return g


@pytest.fixture
def spsa():
    strategy = make_strategy("spsa", deepafx_st_chain(), RATE, epsilon=1e-3, directions=400, seed=3, threads=2)
    strategy.black_box = Smooth()
    return strategy


@pytest.mark.parametrize("control", [[0.5, 0.4, 0.6, 0.5], [0.0, 1.0, 0.0, 1.0], [0.0004, 0.9996, 0.5, 0.0]])
def test_mean_gradient_is_the_gradient_inside_and_at_the_bounds(spsa, control):
    """Dividing by 2 epsilon after clipping to [0, 1] gives half the gradient at a bound; this fails on that mistake."""
    audio = torch.ones(1, 1, 8)
    total = np.zeros(4)
    rounds = 4
    for _ in range(rounds):
        controls = torch.tensor([control], dtype=torch.float64, requires_grad=True)
        spsa(audio, controls, RATE).sum().backward()
        total += controls.grad[0].numpy() / rounds
    expected = 8 * Smooth().gradient(np.array(control))
    # the standard error of 1600 directions with cross terms of this size is below 0.25
    np.testing.assert_allclose(total, expected, atol=0.9)
    assert np.abs(total - expected).mean() < 0.4


def test_one_dimension_is_exact_at_a_bound(spsa):
    """With a single moving control there is no cross term: the estimate is the one-sided difference itself."""
    spsa.black_box = lambda audio, controls, rate: audio.astype(np.float64) * (2.0 * controls[0])
    for value in (0.0, 0.5, 1.0):
        controls = torch.tensor([[value]], dtype=torch.float64, requires_grad=True)
        spsa(torch.ones(1, 1, 4), controls, RATE).sum().backward()
        assert controls.grad.item() == pytest.approx(8.0, rel=1e-4)


def test_mean_gradient_agrees_with_finite_differences_of_the_real_chain():
    chain = deepafx_st_chain()
    strategy = make_strategy("spsa", chain, RATE, directions=96, epsilon=2e-3, seed=1)
    rng = np.random.default_rng(0)
    audio = torch.from_numpy((0.1 * rng.standard_normal((1, 1, 2048))).astype(np.float32))
    upstream = torch.from_numpy(rng.standard_normal((1, 1, 2048)).astype(np.float32))
    base = chain.default_controls
    active = [0, 3, 6, 9, 12, 15, 23]  # the gains: smooth, and large enough to be seen through the noise
    base[[0, 6]] = [0.5, 0.0]

    def value(c):
        return float((torch.from_numpy(chain.render(audio[0].numpy(), chain.settings(c), RATE)) * upstream[0]).double().sum())

    finite = np.zeros(len(base))
    for i in active:
        up, down = base.copy(), base.copy()
        up[i], down[i] = min(base[i] + 2e-3, 1), max(base[i] - 2e-3, 0)
        finite[i] = (value(up) - value(down)) / (up[i] - down[i])
    mean = np.zeros(len(base))
    for _ in range(10):
        controls = torch.tensor(base[None], requires_grad=True)
        (strategy(audio, controls, RATE) * upstream).sum().backward()
        mean += controls.grad[0].numpy() / 10
    a, b = mean[active], finite[active]
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.97
    assert np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(1.0, abs=0.2)


def test_a_resumed_run_draws_what_it_would_have_drawn(spsa):
    def gradient(strategy):
        controls = torch.full((2, 4), 0.5, dtype=torch.float64, requires_grad=True)
        strategy(torch.ones(2, 1, 8), controls, RATE).sum().backward()
        return controls.grad

    gradient(spsa)
    state = {k: v.clone() for k, v in spsa.state_dict().items()}
    second = gradient(spsa)
    again = make_strategy("spsa", deepafx_st_chain(), RATE, **spsa.options())
    again.black_box = Smooth()
    again.load_state_dict(state)
    assert torch.equal(gradient(again), second)
    assert not torch.equal(gradient(again), second)


def test_epsilon_follows_its_schedule():
    strategy = make_strategy("spsa", deepafx_st_chain(), RATE, epsilon=1e-2, epsilon_end=1e-4, epsilon_steps=100)
    strategy.step.fill_(50)
    assert strategy.epsilon() == pytest.approx(1e-3)
    strategy.step.fill_(1000)
    assert strategy.epsilon() == pytest.approx(1e-4)


def test_a_third_party_render_is_played_and_differentiated():
    pytest.importorskip("pedalboard")
    strategy = make_strategy("spsa", deepafx_st_chain(), RATE, render="pedalboard", directions=4)
    audio = 0.1 * torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(0))
    controls = torch.tensor(deepafx_st_chain().default_controls[None].repeat(2, 0), requires_grad=True)
    output = strategy(audio, controls, RATE)
    assert output.shape == audio.shape
    output.square().mean().backward()
    assert torch.isfinite(controls.grad).all()
    assert controls.grad.abs().sum() > 0


def test_bad_options_are_refused():
    for options in ({"epsilon": 0.0}, {"directions": 0}, {"render": "nothing"}, {"colour": 1}):
        with pytest.raises(UserError):
            make_strategy("spsa", deepafx_st_chain(), RATE, **options)
