"""The equaliser in torch is the equaliser: every form, the corners, gradients."""

import itertools

import numpy as np
import pytest
import torch

from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.filtering import MAX_PADDING, padding
from stylefx.differentiable.operators.frequency import fft_length, filter_spectrum
from stylefx.differentiable.operators.scans import section
from stylefx.differentiable.operators.sections import digital_coefficients, warped_sections
from stylefx.differentiable.palette.parametric_eq import ParametricEqTwin, band_sections, range_padding
from stylefx.effects.palette.parametric_eq import BAND_KINDS, ParametricEq
from tests.support.twin_references import (
    cookbook,
    eq_sections,
    loop_filter,
    music,
    relative,
    scipy_filter,
    worst_item,
    worst_parameter,
)

FORWARD = {"compiled": 1e-6, "scan": 1e-5, "frequency": 1e-5}
GRADIENT = {"compiled": 1e-4, "scan": 1e-3, "frequency": 1e-3}


def apply(form: str, audio, sections):
    if form == "frequency":
        return filter_spectrum(audio, sections, fft_length(audio.shape[-1] + padding(sections)))
    return biquads(audio, digital_coefficients(sections), form)


def draws(items: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """Settings uniform in the controls; the first items are corners of the ranges."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for i, p in enumerate(ParametricEq().parameters):
        controls = torch.rand(items, generator=generator, dtype=torch.float64)
        controls[0], controls[1], controls[2] = 0.0, 1.0, i % 2
        out[p.name] = torch.tensor([p.from_control(c) for c in controls.tolist()], dtype=torch.float64)
    return out


@pytest.mark.parametrize("form", FORWARD)
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (44100, 2), (96000, 1)])
def test_output_equals_scipy_in_float64(form, rate, channels):
    settings, audio = draws(12), music(12, channels, 30011, rate)
    ours = apply(form, audio, band_sections(ParametricEq(), settings, rate))
    truth = scipy_filter(audio.numpy(), eq_sections(ParametricEq().bands, settings, rate).numpy())
    assert worst_item(ours, truth) < FORWARD[form]


@pytest.mark.parametrize("form", FORWARD)
@pytest.mark.parametrize("rate", [44100, 96000])
@pytest.mark.parametrize("kind", BAND_KINDS)
def test_corner_of_20_hz_and_q_10(form, rate, kind):
    audio = music(2, 1, 40000, rate)
    gain, cutoff, q = (torch.tensor(v, dtype=torch.float64) for v in ([24.0, -24.0], [20.0, 20.0], [10.0, 10.0]))
    ours = apply(form, audio, warped_sections(kind, gain, cutoff, q, rate)[:, None])
    truth = scipy_filter(audio.numpy(), cookbook(kind, gain, cutoff, q, rate)[:, None].numpy())
    assert worst_item(ours, truth) < FORWARD[form]


@pytest.mark.parametrize("kind", BAND_KINDS)
def test_scanned_sections_lose_no_digits_at_low_frequencies(kind):
    """Poles at 20 Hz of 96 kHz, against a loop in extended precision over the same coefficients."""
    gain, cutoff, q = (torch.tensor([v], dtype=torch.float64) for v in (12.0, 20.0, 5.0))
    coefficients = digital_coefficients(warped_sections(kind, gain, cutoff, q, 96000.0))
    audio = torch.randn(1, 1, 1500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    b0, b1, b2, a1, a2 = coefficients[0].numpy().astype(np.longdouble)
    x, y = np.pad(audio[0, 0].numpy().astype(np.longdouble), (2, 0)), np.zeros(1502, np.longdouble)
    for n in range(2, 1502):
        y[n] = b0 * x[n] + b1 * x[n - 1] + b2 * x[n - 2] - a1 * y[n - 1] - a2 * y[n - 2]
    assert relative(section(audio, coefficients)[0, 0], y[2:]) < 1e-13


@pytest.mark.parametrize("form", FORWARD)
def test_gradients_equal_autograd_through_the_sample_loop(form):
    rate, items = 24000, 24
    settings, audio = draws(items, seed=2), music(items, 2, 700, rate)
    upstream = music(items, 2, 700, rate, seed=5)
    names = list(settings)

    def gradients(filtered, x, values):
        return torch.autograd.grad((filtered * upstream.to(filtered.dtype)).sum(), [x, *values])

    values = [settings[n].clone().requires_grad_() for n in names]
    x = audio.double().requires_grad_()
    sections = eq_sections(ParametricEq().bands, dict(zip(names, values)), rate)
    truth = gradients(loop_filter(x, sections), x, values)
    values = [settings[n].clone().requires_grad_() for n in names]
    x = audio.clone().requires_grad_()
    ours = gradients(apply(form, x, band_sections(ParametricEq(), dict(zip(names, values)), rate)), x, values)
    assert worst_item(ours[0], truth[0]) < GRADIENT[form]
    assert worst_parameter(ours[1:], truth[1:]) < GRADIENT[form]


@pytest.mark.parametrize("form", FORWARD)
def test_long_gradients_equal_central_differences(form):
    """20 Hz, Q 10, a second of audio: the filter is smooth, so differences of scipy's output are exact enough."""
    rate, audio = 44100, music(1, 1, 44100, 44100)
    upstream = music(1, 1, 44100, 44100, seed=3)
    point = {"gain_db": 24.0, "cutoff_hz": 20.0, "q": 10.0}
    values = {k: torch.tensor([v], dtype=torch.float64, requires_grad=True) for k, v in point.items()}
    out = apply(form, audio, warped_sections("low_shelf", *values.values(), rate)[:, None])
    ours = torch.autograd.grad((out * upstream).sum(), list(values.values()))

    def projection(at):
        sections = cookbook("low_shelf", *(torch.tensor([v], dtype=torch.float64) for v in at.values()), rate)[:, None]
        return float((scipy_filter(audio.numpy(), sections.numpy()) * upstream.numpy()).sum())

    for gradient, (name, value) in zip(ours, point.items()):
        step = 1e-5 * value
        difference = projection({**point, name: value + step}) - projection({**point, name: value - step})
        assert gradient.item() == pytest.approx(difference / (2 * step), rel=GRADIENT[form])


@pytest.mark.parametrize("form", FORWARD)
@pytest.mark.parametrize("samples", [1, 37, 513])
def test_gradcheck_in_float64(form, samples):
    bands = [{"kind": "low_shelf"}, {"kind": "notch"}, {"kind": "high_pass"}]  # an odd number
    effect = ParametricEq(bands=bands)
    names = [p.name for p in effect.parameters]
    values = [torch.tensor([v, v * 1.1], dtype=torch.float64, requires_grad=True) for v in [6.0, 900, 1.2, 1500, 2.0, 300, 0.9]]
    audio = torch.randn(2, 2, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def function(x, *v):
        return apply(form, x, band_sections(effect, dict(zip(names, v)), 24000.0))

    assert torch.autograd.gradcheck(function, (audio, *values), atol=1e-6, rtol=1e-4, fast_mode=samples > 1)


@pytest.mark.parametrize(("kinds", "method"), itertools.product([BAND_KINDS, ["peak"] * 11], ["recursive", "frequency"]))
def test_any_number_and_kind_of_bands(kinds, method):
    effect = ParametricEq(bands=[{"kind": k, "name": f"b{i}"} for i, k in enumerate(kinds)])
    generator = np.random.default_rng(0)
    settings = {p.name: torch.tensor([p.from_control(generator.uniform())], dtype=torch.float64) for p in effect.parameters}
    audio = music(1, 2, 20000, 44100)
    ours = ParametricEqTwin(effect, method).render(audio, settings, 44100.0, in_range=False)
    assert relative(ours, scipy_filter(audio.numpy(), eq_sections(effect.bands, settings, 44100).numpy())) < 1e-5


def test_cutoffs_are_clamped_at_nine_tenths_of_nyquist():
    values = [torch.tensor([v], dtype=torch.float64) for v in (12.0, 19000.0, 2.0)]
    at_limit = [values[0], torch.tensor([0.45 * 24000], dtype=torch.float64), values[2]]
    assert torch.equal(warped_sections("peak", *values, 24000), warped_sections("peak", *at_limit, 24000))


def test_frequency_domain_gives_way_where_zeros_would_be_too_many():
    effect, rate = ParametricEq(), 96000.0
    twin = ParametricEqTwin(effect, "frequency")
    settings = {
        p.name: torch.full((1,), p.maximum if p.scale == "log" else p.default, dtype=torch.float64) for p in effect.parameters
    }
    settings |= {"low_shelf_gain_db": torch.tensor([24.0]).double(), "low_shelf_cutoff_hz": torch.tensor([20.0]).double()}
    assert padding(band_sections(effect, settings, rate)) > MAX_PADDING
    audio = music(1, 1, 20000, rate)
    ours = twin.render(audio, settings, rate, in_range=True)
    assert relative(ours, scipy_filter(audio.numpy(), eq_sections(effect.bands, settings, rate).numpy())) < 1e-6


@pytest.mark.parametrize("rate", [24000.0, 44100.0])
def test_worst_padding_covers_every_draw(rate):
    effect = ParametricEq()
    worst = range_padding(effect, rate)
    assert padding(band_sections(effect, draws(500), rate)) <= worst
    assert worst == pytest.approx(107000 * rate / 24000, rel=0.01)


@pytest.mark.parametrize("at_least", [1, 2, 7, 1000, 131072, 238075])
def test_fft_length_is_even_smooth_and_close(at_least):
    length = fft_length(at_least)
    rest = length
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1
    assert length % 2 == 0
    assert at_least <= length <= max(2, 1.2 * at_least + 2)
