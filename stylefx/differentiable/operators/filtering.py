"""Which way second-order sections are filtered: by recursion or in the frequency domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.frequency import TIME_CONSTANTS, fft_length, filter_spectrum
from stylefx.differentiable.operators.sections import digital_coefficients, slowest_time_constant
from stylefx.effects.kernels.biquad import CLAMP, is_beyond, warped_sections

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
        # Beyond 0.9 Nyquist the lowest cutoff rings longest.
        cutoffs = {cutoff_hz, 1.0001 * CLAMP * 0.5 * sample_rate} if is_beyond(cutoff_hz, sample_rate) else {cutoff_hz}
        for section in (s for f in cutoffs for s in warped_sections(kind, f, q, sample_rate, gain_db)):
            slowest = max(slowest, _time_constant(*section[3:]))
    return int(TIME_CONSTANTS * slowest) + 1


# What torch.compiler.assume_constant_result does (of plain numbers: a graph need not trace how it is found), without the three
# seconds of importing the compiler, which most programs never call.
worst_padding._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _time_constant(d0: float, d1: float, d2: float) -> float:
    """Of the poles of one warped section, in samples."""
    inside = d1 * d1 - 4.0 * d0 * d2
    if inside < 0.0:
        return -2.0 / math.log1p(-2.0 * d1 / (d0 + d1 + d2))
    return -1.0 / math.log1p(-(2.0 * min(d0, d2) + 4.0 * d0 * d2 / (d1 + math.sqrt(inside))) / (d0 + d1 + d2))
