"""Every effect has a twin: it sounds like the render, and its gradients are those of what it renders."""

import math

import numpy as np
import pytest
import torch

from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.operators.mixing import blend
from stylefx.differentiable.operators.sliding import sliding_maximum
from stylefx.differentiable.registry import make_twin, twin_names
from stylefx.effects.chain import EffectChain, Slot
from stylefx.effects.palette.gain import Gain
from stylefx.effects.palette.parametric_eq import BAND_KINDS
from stylefx.effects.registry import effect_names, make_effect
from stylefx.errors import UserError
from tests.support.twin_references import music, relative, worst_item, worst_parameter

CASES = [
    ("parametric_eq", {}),
    ("parametric_eq", {"bands": [{"kind": kind} for kind in BAND_KINDS]}),
    ("graphic_eq", {}),
    ("graphic_eq", {"bands": "third_octave"}),
    ("compressor", {}),
    ("expander", {}),
    ("gate", {}),
    ("limiter", {}),
    ("limiter", {"lookahead_ms": 0.7}),
    ("multiband_compressor", {"num_bands": 2}),
    ("multiband_compressor", {"num_bands": 4}),
    ("gain", {}),
    ("saturation", {}),
    ("stereo_width", {}),
    ("pan", {}),
    ("delay", {}),
    ("reverb", {}),
    ("reverb", {"size": 0.3, "predelay_ms": 20.0}),
]
NAMES = [f"{name} {config}" if config else name for name, config in CASES]
every_effect = pytest.mark.parametrize(("name", "config"), CASES, ids=NAMES)


def controls(chain: EffectChain, items: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return low + (high - low) * torch.rand(items, chain.num_controls, generator=generator, dtype=torch.float64)


def test_every_effect_has_a_twin():
    assert twin_names() == effect_names()
    assert {name for name, _ in CASES} == set(effect_names())


@every_effect
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (44100, 2), (8000, 1)])
@pytest.mark.parametrize("method", ["auto", "frequency"])
def test_sounds_like_the_render(name, config, rate, channels, method):
    chain = EffectChain.of(make_effect(name, **config))
    audio, c = music(6, channels, 15001, rate), controls(chain, 6)
    ours = DifferentiableChain(chain, method)(audio, c, rate)
    theirs = np.stack([chain.render(a.numpy(), chain.settings(v.numpy()), rate) for a, v in zip(audio, c)])
    assert ours.dtype == torch.float32
    assert worst_item(ours, theirs) < (1e-5 if method == "frequency" or name == "saturation" else 2e-6)


@every_effect
@pytest.mark.parametrize("channels", [1, 2])
def test_gradcheck_in_float64(name, config, channels):
    """Against finite differences of the twin itself, whose values the test above pins to the render."""
    chain = EffectChain.of(make_effect(name, **config))
    if name in ("gate", "compressor", "limiter", "expander", "multiband_compressor"):
        c = controls(chain, 2, 0.3, 0.6)  # where the effect works
    else:
        c = controls(chain, 2, 0.1, 0.9)
    samples, rate = (900, 4000.0) if name == "reverb" else (300, 8000.0)
    generator = torch.Generator().manual_seed(1)
    audio = 0.2 * torch.randn(2, channels, samples, generator=generator, dtype=torch.float64)
    twin = DifferentiableChain(chain)
    # Kinks are rare but there: one direction at a time and a small step keep away from them.
    assert torch.autograd.gradcheck(
        lambda a, v: twin(a, v, rate),
        (audio.requires_grad_(), c.requires_grad_()),
        eps=1e-7,
        atol=1e-4,
        rtol=1e-3,
        fast_mode=True,
    )


@every_effect
@pytest.mark.parametrize("method", ["auto", "frequency"])
def test_float32_gradients_equal_float64_gradients(name, config, method):
    chain = EffectChain.of(make_effect(name, **config))
    audio, c = music(6, 2, 8000, 24000, seed=5), controls(chain, 6)
    upstream, results = music(6, 2, 8000, 24000, seed=6), []
    for dtype in (torch.float32, torch.float64):
        a, v = audio.to(dtype).requires_grad_(), c.clone().requires_grad_()
        out = DifferentiableChain(chain, method if dtype == torch.float32 else "recursive")(a, v, 24000)
        results.append(torch.autograd.grad((out * upstream.to(dtype)).sum(), [a, v]))
    bound = 1e-3 if method == "frequency" or name in ("saturation", "gate", "limiter", "multiband_compressor") else 1e-4
    assert worst_item(results[0][0], results[1][0]) < bound
    assert worst_parameter(results[0][1].T, results[1][1].T) < bound


def test_width_of_nearly_mono_audio_keeps_its_gradient():
    """The sides are a thousandth of the middle: what is left must not be a difference of large sums."""
    middle, side, upstream = (music(1, 1, 8000, 24000, seed=seed) for seed in (1, 2, 3))
    audio = torch.cat([middle + 1e-3 * side, middle - 1e-3 * side], 1)
    width = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    chain = DifferentiableChain(EffectChain.of(make_effect("stereo_width")))
    out = chain.render(audio, [{"width": width}], 24000)
    weights = torch.cat([upstream, 0.9 * upstream], 1)
    (gradient,) = torch.autograd.grad((out * weights).sum(), width)
    halves = 0.5 * (audio[:, :1].double() - audio[:, 1:].double())
    assert gradient.item() == pytest.approx((0.1 * halves * upstream.double()).sum().item(), rel=1e-5)


@pytest.mark.parametrize("mix", [0.0, 1e-4, 0.5, 0.9999, 1.0])
def test_the_last_bit_of_dry_signal_is_as_exact_as_the_rest(mix):
    dry, wet = music(1, 1, 3000, 24000, seed=1), 1e-3 * music(1, 1, 3000, 24000, seed=2)
    truth = (1 - mix) * dry.double() + mix * wet.double()
    assert relative(blend(dry, wet * 0.0, torch.tensor([mix], dtype=torch.float64)), (1 - mix) * dry.double()) < 1e-6
    assert relative(blend(dry, wet, torch.tensor([mix], dtype=torch.float64)), truth) < 1e-6


@every_effect
def test_defaults_silence_and_mix(name, config):
    chain = EffectChain((Slot(make_effect(name, **config), mix=0.5),))
    audio = music(2, 2, 6000, 44100)
    twin = DifferentiableChain(chain)
    ours = twin.render(audio, [{}], 44100)
    assert worst_item(ours, np.stack([chain.render(a.numpy(), None, 44100) for a in audio])) < 1e-5
    silence = torch.zeros(1, 2, 3000, requires_grad=True)
    c = controls(chain, 1).requires_grad_()
    out = twin(silence, c, 44100)
    out.sum().backward()
    assert out.abs().max() == 0.0
    assert torch.isfinite(silence.grad).all()
    assert torch.isfinite(c.grad).all()


@pytest.mark.parametrize("name", ["pan", "stereo_width", "reverb"])
def test_more_than_two_channels_are_refused_where_they_mean_nothing(name):
    with pytest.raises(UserError, match="3 channels"):
        DifferentiableChain(EffectChain.of(make_effect(name))).render(torch.zeros(1, 3, 100), [{}], 44100)


def test_an_effect_without_a_twin_is_named():
    class Fuzz(Gain):
        name = "fuzz"

    with pytest.raises(UserError, match="'fuzz' has no differentiable form"):
        make_twin(Fuzz())


@pytest.mark.parametrize("windows", [[1, 2, 3, 7], [64, 100, 500, 5000], 33])
def test_sliding_maximum_and_where_its_gradient_goes(windows):
    values = torch.rand(4, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    out = sliding_maximum(values, windows if isinstance(windows, int) else torch.tensor(windows))
    expected, counts = torch.zeros(4, 300), torch.zeros(4, 300)
    for item in range(4):
        window = windows if isinstance(windows, int) else windows[item]
        for n in range(300):
            part = values[item, max(0, n - window + 1) : n + 1].detach()
            expected[item, n] = part.max()
            counts[item, max(0, n - window + 1) + int(part.argmax())] += 1
    assert torch.allclose(out.float(), expected)
    (gradient,) = torch.autograd.grad(out.sum(), values)
    assert torch.equal(gradient.float(), counts)


def test_no_sample_passes_the_limiters_ceiling():
    chain = EffectChain.of(make_effect("limiter"))
    settings = [{"gain_db": 24.0, "ceiling_db": -3.0, "release_ms": 5.0}]
    out = DifferentiableChain(chain).render(music(4, 2, 20000, 44100), settings, 44100)
    assert out.abs().max().item() <= np.float32(10 ** (-3 / 20))


def test_a_delay_that_rings_for_minutes_is_exact():
    """Feedback 0.95 and a second of delay: four minutes of echoes must not wrap around to the beginning."""
    chain = EffectChain.of(make_effect("delay"))
    settings = [{"effect": "delay", "settings": {"time_ms": 313.7, "feedback": 0.95, "damping_hz": 20000.0, "mix": 1.0}}]
    audio = music(1, 1, 50000, 8000)
    ours = DifferentiableChain(chain).render(audio, settings, 8000)
    assert relative(ours[0], chain.render(audio[0].numpy(), settings, 8000)) < 1e-6
    assert math.isfinite(ours.abs().max())
