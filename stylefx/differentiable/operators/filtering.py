"""Which way second-order sections are filtered: by recursion or in the frequency domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.frequency import TIME_CONSTANTS, fft_length, filter_spectrum
from stylefx.differentiable.operators.sections import digital_coefficients, slowest_time_constant
from stylefx.effects.biquad import clamp_cutoff, prototype

MAX_PADDING = 1 << 17  # samples of zeros beyond which the recursion is the better choice, unless the audio is longer


def filter_sections(
    audio: Tensor, sections: Tensor, method: str, worst: Callable[[], int] | None = None, reach: int = 1
) -> Tensor:
    """audio (items, channels, n) through warped sections (items, sections, 6). ``reach`` multiplies the zeros of the frequency
    domain: 2 where poles are repeated, or what wraps around is amplified afterwards.

    ``worst`` promises a bound of ``padding``: to read the poles would make the host wait for the device, and a tracer stop.
    """
    if not in_frequency_domain(audio, method):
        return biquads(audio, digital_coefficients(sections))
    free = audio.device.type == "cpu" and not torch.compiler.is_compiling()
    zeros = reach * (padding(sections) if free or worst is None else worst())
    if zeros > max(MAX_PADDING, audio.shape[-1]):
        return biquads(audio, digital_coefficients(sections))
    return filter_spectrum(audio, sections, fft_length(audio.shape[-1] + zeros))


def in_frequency_domain(audio: Tensor, method: str) -> bool:
    """Whether this method filters by FFTs on this device, where they are not too long."""
    return method == "frequency" or (method == "auto" and audio.device.type != "cpu")


def padding(sections: Tensor) -> int:
    """Samples after which the response of warped sections has died away (reads from the device)."""
    return int(TIME_CONSTANTS * slowest_time_constant(sections.detach()).item()) + 1


def worst_padding(bands: Iterable[tuple[str, float, float, float]], sample_rate: float) -> int:
    """``padding`` of the slowest of the bands (kind, gain in dB, cutoff in Hz, q); in plain numbers, constants to a tracer."""
    slowest = 0.0
    for kind, gain_db, cutoff_hz, q in bands:
        k = math.tan(math.pi * clamp_cutoff(cutoff_hz, sample_rate) / sample_rate)
        d2, d1, d0 = (c * p for c, p in zip(prototype(kind, gain_db, q)[1], (1.0, k, k * k)))
        inside = d1 * d1 - 4.0 * d0 * d2
        if inside < 0.0:
            log_radius = 0.5 * math.log1p(-2.0 * d1 / (d0 + d1 + d2))
        else:
            log_radius = math.log1p(-(2.0 * min(d0, d2) + 4.0 * d0 * d2 / (d1 + math.sqrt(inside))) / (d0 + d1 + d2))
        slowest = max(slowest, -1.0 / log_radius)
    return int(TIME_CONSTANTS * slowest) + 1
