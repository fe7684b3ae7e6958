"""Compressor and expander in torch: every form against a sample loop, the corners, gradients, and known mistakes."""

import math

import numpy as np
import pytest
import torch

from stylefx.differentiable.operators import dynamics as operator
from stylefx.differentiable.operators import scans
from stylefx.differentiable.operators.scans import branching_smoother, linear_scan
from stylefx.differentiable.palette.compressor import CompressorTwin
from stylefx.differentiable.palette.expander import ExpanderTwin
from stylefx.effects.palette.compressor import Compressor
from stylefx.effects.palette.expander import Expander
from tests.support.twin_references import loop_dynamics, music, relative, worst_item, worst_parameter

FORWARD = {"compiled": 1e-6, "scan": 1e-4}
GRADIENT = {"compiled": 1e-4, "scan": 1e-3}
TWINS = {"compressor": (Compressor, CompressorTwin), "expander": (Expander, ExpanderTwin)}
CORNERS = {
    "attack 0.1 ms": {"attack_ms": 0.1},
    "release 1 s": {"release_ms": 1000.0},
    "release faster than attack": {"attack_ms": 100.0, "release_ms": 5.0},
    "knee 0": {"knee_db": 0.0},
    "ratio just above 1": {"ratio": 1.0 + 1e-6},  # at 1 itself every sample is a tie: test_ends has that
    "lowest threshold": {"threshold_db": -80.0},
    "all": {"attack_ms": 0.1, "release_ms": 1000.0, "knee_db": 0.0, "threshold_db": -60.0},
}


@pytest.fixture(params=FORWARD)
def form(request, monkeypatch):
    """Every form on the CPU, whatever the device would choose."""
    chosen = request.param
    if chosen != "compiled":
        original = operator.dynamics
        for module in ("compressor", "expander"):
            name = f"stylefx.differentiable.palette.{module}.dynamics"
            monkeypatch.setattr(name, lambda a, w, sign: original(a, w, sign, chosen))
    return chosen


def draws(effect, items: int, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(seed)
    controls = generator.uniform(size=(len(effect.parameters), items))
    rows = [[p.from_control(c) for c in row] for p, row in zip(effect.parameters, controls)]
    return {p.name: torch.tensor(row, dtype=torch.float64) for p, row in zip(effect.parameters, rows)}


def settings_of(effect, name: str) -> dict[str, torch.Tensor]:
    base = {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 5.0, "release_ms": 80.0, "knee_db": 6.0, "makeup_gain_db": 3.0}
    base |= {"range_db": 30.0} if effect.name == "expander" else {}
    return {k: torch.tensor([v], dtype=torch.float64) for k, v in (base | CORNERS[name]).items()}


@pytest.mark.parametrize("effect", TWINS)
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (96000, 2)])
def test_output_equals_the_sample_loop(form, effect, rate, channels):
    effect, twin = (c() if i == 0 else c(TWINS[effect][0]()) for i, c in enumerate(TWINS[effect]))
    settings, audio = draws(effect, 40), music(40, channels, 6007, rate)
    truth = loop_dynamics(audio.double(), settings, rate, expander=effect.name == "expander")
    assert worst_item(twin.render(audio, settings, rate, True), truth) < FORWARD[form]


@pytest.mark.parametrize("effect", TWINS)
@pytest.mark.parametrize("corner", CORNERS)
def test_corners_in_value_and_gradient(form, effect, corner):
    effect, twin = TWINS[effect][0](), TWINS[effect][1](TWINS[effect][0]())
    rate, audio = 24000, music(1, 2, 3001, 24000, seed=7)
    check_gradients(effect, twin, settings_of(effect, corner), audio, rate, form)


@pytest.mark.parametrize("effect", TWINS)
def test_gradients_equal_autograd_through_the_sample_loop(form, effect):
    effect, twin = TWINS[effect][0](), TWINS[effect][1](TWINS[effect][0]())
    check_gradients(effect, twin, draws(effect, 48, seed=3), music(48, 2, 2500, 24000, seed=4), 24000, form)


def check_gradients(effect, twin, settings, audio, rate, form):
    upstream = music(*audio.shape, rate, seed=11)
    names, results = list(settings), []
    for render, dtype in ((lambda x, s: twin.render(x, s, rate, True), torch.float32), (None, torch.float64)):
        x = audio.to(dtype).requires_grad_()
        values = [settings[n].double().clone().requires_grad_() for n in names]
        s = dict(zip(names, values))
        out = render(x, s) if render else loop_dynamics(x, s, rate, expander=effect.name == "expander")
        results.append((out, *torch.autograd.grad((out * upstream.to(dtype)).sum(), [x, *values])))
    ours, truth = results
    assert worst_item(ours[0], truth[0]) < FORWARD[form]
    assert worst_item(ours[1], truth[1]) < GRADIENT[form]
    # Make-up depends on the output alone; the others are compared with each other.
    assert worst_parameter(ours[2:], truth[2:]) < GRADIENT[form]


@pytest.mark.parametrize("effect", TWINS)
@pytest.mark.parametrize("samples", [1, 40, 700])
def test_gradcheck_in_float64(form, effect, samples):
    effect, twin = TWINS[effect][0](), TWINS[effect][1](TWINS[effect][0]())
    base = {"threshold_db": [-30.0, -25.0], "ratio": [4.0, 2.0], "attack_ms": [1.0, 6.0], "release_ms": [8.0, 5.0]}
    base |= {"knee_db": [6.0, 3.0], "range_db": [50.0, 40.0], "makeup_gain_db": [3.0, -1.0]}
    names = [p.name for p in effect.parameters]
    values = [torch.tensor(base[n], dtype=torch.float64, requires_grad=True) for n in names]
    audio = (0.1 * torch.randn(2, 2, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).requires_grad_()

    def function(x, *v):
        return twin.render(x, dict(zip(names, v)), 24000.0, True)

    # Fast mode projects on random directions and so hits kinks less often than one perturbation per sample.
    assert torch.autograd.gradcheck(function, (audio, *values), eps=1e-8, atol=1e-5, rtol=1e-3, fast_mode=samples > 1)


# -- mistakes others have made


def steady(level_db: float, samples: int = 4000) -> torch.Tensor:
    return torch.full((1, 1, samples), 10 ** (level_db / 20))


def test_the_soft_knee_never_boosts_and_never_jumps(form):
    """Ratio 4, knee 12: a steady level comes out at the textbook curve, monotone, never louder than it went in."""
    twin = CompressorTwin(Compressor())
    settings = {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 0.1, "release_ms": 5.0, "knee_db": 12.0, "makeup_gain_db": 0.0}
    settings = {k: torch.tensor([v], dtype=torch.float64) for k, v in settings.items()}
    levels = np.arange(-40.0, -15.0, 0.5)
    out = [20 * math.log10(twin.render(steady(v), settings, 24000.0, True)[0, 0, -1].item()) for v in levels]
    over = levels + 30
    textbook = levels - 0.75 * np.where(over < -6, 0, np.where(over > 6, over, (over + 6) ** 2 / 24))
    assert np.abs(np.array(out) - textbook).max() < 1e-4
    assert (np.array(out) <= levels + 1e-5).all()
    assert (np.diff(out) > 0).all()
    assert np.diff(out).max() < 0.51


def test_the_release_is_not_ignored(form):
    """After a burst the gain recovers within the release time, 10 to 90 %, whatever the attack is; and it has a gradient."""
    rate, release_ms = 24000, 200.0
    audio = torch.cat([steady(0.0, 12000), steady(-60.0, 12000)], -1)
    settings = {"threshold_db": -40.0, "ratio": 4.0, "attack_ms": 1.0, "knee_db": 0.0, "makeup_gain_db": 0.0}
    settings = {k: torch.tensor([v], dtype=torch.float64) for k, v in settings.items()}
    release = torch.tensor([release_ms], dtype=torch.float64, requires_grad=True)
    out = CompressorTwin(Compressor()).render(audio, settings | {"release_ms": release}, rate, True)
    reduction = -20 * torch.log10(out / audio)[0, 0, 12000:].detach().numpy()
    full = reduction[0]
    time_ms = (np.argmax(reduction < 0.1 * full) - np.argmax(reduction < 0.9 * full)) / rate * 1000
    assert time_ms == pytest.approx(release_ms, rel=0.01)
    (gradient,) = torch.autograd.grad(out.sum(), release)
    assert gradient.item() < 0  # a slower release gives less sound after the burst


def test_the_attack_takes_its_time_from_10_to_90_per_cent(form):
    rate, attack_ms = 24000, 20.0
    audio = torch.cat([steady(-90.0, 100), steady(0.0, 6000)], -1)
    settings = {
        "threshold_db": -40.0,
        "ratio": 4.0,
        "attack_ms": attack_ms,
        "release_ms": 500.0,
        "knee_db": 0.0,
        "makeup_gain_db": 0.0,
    }
    settings = {k: torch.tensor([v], dtype=torch.float64) for k, v in settings.items()}
    out = CompressorTwin(Compressor()).render(audio, settings, rate, True)
    reduction = -20 * torch.log10(out / audio)[0, 0, 100:].numpy()
    time_ms = (np.argmax(reduction > 0.9 * 30) - np.argmax(reduction > 0.1 * 30)) / rate * 1000
    assert time_ms == pytest.approx(attack_ms, rel=0.01)


def test_equal_channels_share_the_gradient(form):
    mono = music(1, 1, 2000, 24000).requires_grad_()
    settings = settings_of(Compressor(), "knee 0")
    twin = CompressorTwin(Compressor())
    (one,) = torch.autograd.grad(twin.render(mono, settings, 24000.0, True).sum(), mono)
    stereo = mono.detach().expand(1, 2, -1).clone().requires_grad_()
    (two,) = torch.autograd.grad(twin.render(stereo, settings, 24000.0, True).sum(), stereo)
    assert relative(two[:, 0], one[:, 0]) < 1e-5
    assert torch.equal(two[:, 0], two[:, 1])


# -- scans


def test_linear_scan_equals_the_loop():
    generator = np.random.default_rng(0)
    a, b = generator.uniform(0.9, 1, (3, 3000)), generator.standard_normal((3, 3000))
    y, state = np.zeros_like(b), np.zeros(3)
    for n in range(3000):
        state = a[:, n] * state + b[:, n]
        y[:, n] = state
    assert relative(linear_scan(torch.tensor(a), torch.tensor(b)), y) < 1e-13


def branching_loop(reduction: torch.Tensor, rise: torch.Tensor, fall: torch.Tensor) -> torch.Tensor:
    """Sample by sample in float64; differentiable."""
    state, out = torch.zeros_like(rise), []
    for value in reduction.unbind(-1):
        state = state + torch.where(value > state, rise, fall) * (value - state)
        out.append(state)
    return torch.stack(out, -1)


def wandering(items: int, samples: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Reductions that cross their smoothed selves again and again, and rates from slow to fast."""
    generator = np.random.default_rng(0)
    walk = np.abs(np.cumsum(generator.standard_normal((items, samples)), -1)) * generator.uniform(0, 1, (items, samples))
    return tuple(torch.tensor(v) for v in (walk, *generator.uniform(0.0001, 0.5, (2, items))))


def test_policy_iteration_converges_and_says_when_it_did_not():
    reduction, rise, fall = wandering(20, 8000)
    smooth, unfinished = branching_smoother(reduction, rise[:, None], fall[:, None])
    assert not unfinished.any()
    with torch.no_grad():
        assert relative(smooth, branching_loop(reduction, rise, fall)) < 1e-12
    assert branching_smoother(reduction, rise[:, None], fall[:, None], cap=1)[1].any()


@pytest.mark.parametrize("cap", [1, 3])
def test_what_policy_iteration_leaves_unfinished_equals_the_sample_loop(monkeypatch, cap):
    monkeypatch.setattr(scans, "POLICY_CAP", cap)
    inputs = [t.requires_grad_() for t in wandering(12, 1500)]
    inputs[0].data[::4] = 0.0  # items that are finished stay as they are
    raw, unfinished = branching_smoother(inputs[0], inputs[1][:, None], inputs[2][:, None], cap)
    assert 0 < unfinished.sum() < 12
    truth = branching_loop(*inputs)
    assert relative(raw, truth) > 1e-9
    ours = operator.smooth_reduction(*inputs, 1.0, "scan")
    assert relative(ours, truth) < 1e-12
    upstream = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mine, theirs = (torch.autograd.grad((y * upstream).sum(), inputs) for y in (ours, truth))
    assert all(relative(a, b) < 1e-9 for a, b in zip(mine, theirs))


@pytest.mark.parametrize("operation", ["compiled", "scan"])
@pytest.mark.parametrize("rates", [(0.001, 0.4), (0.4, 0.01)])
def test_a_state_on_its_way_to_zero_does_not_come_to_rest_before(operation, rates):
    """A gate that has opened: every sample and the gradients of both rates, however small they have become."""
    reduction = torch.cat([torch.full((1, 30), 40.0), torch.zeros(1, 700)], -1).double()
    inputs = [reduction, *(torch.tensor([v], dtype=torch.float64) for v in rates)]
    inputs = [t.requires_grad_() for t in inputs]
    results = [operator.smooth_reduction(*inputs, -1.0, operation), branching_loop(*inputs)]
    samples = [r[0, ::50].detach() for r in results]
    audible = samples[1] > 1e-90
    assert torch.allclose(samples[0][audible], samples[1][audible], rtol=1e-9, atol=0.0)
    late = torch.zeros_like(reduction).index_fill(-1, torch.arange(150, 160), 1.0)
    ours, truth = (torch.autograd.grad((y * late).sum(), inputs[1:]) for y in results)
    assert all(a.item() == pytest.approx(b.item(), rel=1e-6) for a, b in zip(ours, truth))
