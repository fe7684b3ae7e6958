"""Second-order sections in the frequency domain: one pair of FFTs for the whole cascade.

The response is that of the analog prototype on the warped axis, s = j tan(w / 2), written with sine and cosine of w / 2:
H = (n0 c^2 - n2 s^2 + j n1 s c) / (d0 c^2 - d2 s^2 + j d1 s c). Nothing cancels, so float32 is enough where the spectrum
of float32 digital coefficients would be wrong by tens of per cent. The signal is padded with zeros, or the end of the
response would wrap around to its beginning.

Gradients by hand, a band of frequencies at a time: with Q = conj(G) X / N (doubled but at 0 and Nyquist, summed over the
channels), dloss = sum Re(Q dH), and dx = irfft(conj(H) G).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from stylefx.differentiable.operators import forms

TIME_CONSTANTS = 14.0  # exp(-14) = 8e-7 of the response may wrap around
_BAND_VALUES = {"cpu": 1 << 18}  # complex numbers per band of frequencies; devices work best on large ones
_DEVICE_VALUES = 1 << 23


def fft_length(at_least: int) -> int:
    """The smallest even 2^a 3^b 5^c >= at_least."""
    best = 1 << max(1, (at_least - 1).bit_length())
    five = 1
    while five < best:
        three = five
        while three < best:
            rest = -(-at_least // three)
            best = min(best, three << max(1, (rest - 1).bit_length()))
            three *= 3
        five *= 5
    return best


@lru_cache(maxsize=8)
def _half_angles(length: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of w / 2 at the bins of a real FFT."""
    half = torch.arange(length // 2 + 1, dtype=torch.float64) * (math.pi / length)
    return half.cos().to(device, dtype), half.sin().to(device, dtype)


def filter_spectrum(audio: Tensor, sections: Tensor, length: int) -> Tensor:
    """audio (items, channels, n) through warped sections (items, sections, 6), by FFTs of ``length`` points;
    gradients to both."""
    return _filter_spectrum(audio.contiguous(), sections.contiguous(), length)


@torch.library.custom_op("stylefx::filter_spectrum", mutates_args=())
def _filter_spectrum(audio: Tensor, sections: Tensor, length: int) -> Tensor:
    spectrum = torch.fft.rfft(audio, length)
    if forms.uses_triton(audio):
        from stylefx.differentiable.operators.gpu import spectra

        cosine, sine = forms.constants(*_half_angles(length, audio.dtype, audio.device))
        spectra.apply_response(spectrum, sections.to(audio.dtype), cosine, sine)
        return torch.fft.irfft(spectrum, length)[..., : audio.shape[-1]].contiguous()
    for band, _, _, values in _bands(sections.to(audio.dtype), length):
        for numerator, denominator in values:
            spectrum[..., band] *= (numerator / denominator)[:, None]
    return torch.fft.irfft(spectrum, length)[..., : audio.shape[-1]].contiguous()


@_filter_spectrum.register_fake
def _(audio: Tensor, sections: Tensor, length: int) -> Tensor:
    return torch.empty_like(audio)


@torch.library.custom_op("stylefx::filter_spectrum_adjoint", mutates_args=())
def _filter_spectrum_adjoint(audio: Tensor, sections: Tensor, upstream: Tensor, length: int) -> tuple[Tensor, Tensor]:
    spectrum, gradient = torch.fft.rfft(audio, length), torch.fft.rfft(upstream, length)
    if forms.uses_triton(audio):
        from stylefx.differentiable.operators.gpu import spectra

        cosine, sine = forms.constants(*_half_angles(length, audio.dtype, audio.device))
        d_sections = spectra.response_adjoint(spectrum, gradient, sections.to(audio.dtype), cosine, sine, length)
        return torch.fft.irfft(gradient, length)[..., : audio.shape[-1]].contiguous(), d_sections.to(sections.dtype)
    d_sections = torch.zeros_like(sections)
    for band, cosine, sine, values in _bands(sections.to(audio.dtype), length):
        product = (gradient[..., band].conj() * spectrum[..., band]).sum(1) * (2.0 / length)
        if band.start == 0:
            product[:, 0] *= 0.5
        if band.stop == length // 2 + 1:
            product[:, -1] *= 0.5
        ratios = [numerator / denominator for numerator, denominator in values]
        total = cast("Tensor", _product(ratios))
        for s, (_, denominator) in enumerate(values):
            weighted = product / denominator
            # A numerator may be zero (a notch), so the other sections' product, not total / ratio.
            d_sections[:, s, :3] += _sums(weighted * _product(ratios[:s] + ratios[s + 1 :]), cosine, sine, sections.dtype)
            d_sections[:, s, 3:] -= _sums(weighted * total, cosine, sine, sections.dtype)
        gradient[..., band] *= total.conj()[:, None]
    return torch.fft.irfft(gradient, length)[..., : audio.shape[-1]].contiguous(), d_sections


@_filter_spectrum_adjoint.register_fake
def _(audio: Tensor, sections: Tensor, upstream: Tensor, length: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(audio), torch.empty_like(sections)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    audio, sections, ctx.length = inputs
    ctx.save_for_backward(audio, sections)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    audio, sections = ctx.saved_tensors
    return (*_filter_spectrum_adjoint(audio, sections, upstream.to(audio.dtype).contiguous(), ctx.length), None)


_filter_spectrum.register_autograd(_backward, setup_context=_save)


def _bands(sections: Tensor, length: int) -> Iterator[tuple[slice, Tensor, Tensor, list[tuple[Tensor, Tensor]]]]:
    """Bands of frequencies: slice, cosine and sine there, and each section's numerator and denominator (items, band)."""
    cosine, sine = _half_angles(length, sections.dtype, sections.device)
    width = max(256, _BAND_VALUES.get(sections.device.type, _DEVICE_VALUES) // sections.shape[0])
    for start in range(0, length // 2 + 1, width):
        band = slice(start, min(start + width, length // 2 + 1))
        c, s = cosine[band], sine[band]
        values = []
        for section in sections.unbind(1):
            n0, n1, n2, d0, d1, d2 = section[:, :, None].unbind(1)
            parts = ((n0 * c * c - n2 * s * s, n1 * s * c), (d0 * c * c - d2 * s * s, d1 * s * c))
            values.append((torch.complex(*parts[0]), torch.complex(*parts[1])))
        yield band, c, s, values


def _product(factors: list[Tensor]) -> Tensor | float:
    total: Tensor | float = 1.0
    for factor in factors:
        total = total * factor
    return total


def _sums(weighted: Tensor, cosine: Tensor, sine: Tensor, dtype: torch.dtype) -> Tensor:
    """Gradients of the three coefficients of a polynomial in s, (items, 3), from the weights (items, band)."""
    real, imaginary = weighted.real, weighted.imag
    parts = (real * cosine * cosine, -imaginary * sine * cosine, -real * sine * sine)
    return torch.stack([part.sum(-1, dtype=dtype) for part in parts], -1)
