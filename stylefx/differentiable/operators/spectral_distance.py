"""Multi-resolution spectral distance whose gradient is computed on the way forward, a few rows at a time.

``stylefx::spectral_distance`` holds the spectra of one resolution and a few rows only; what stays for the backward pass
is the finished gradient, as large as the audio. Frames as in ``torch.stft`` (centred, reflected at the ends), hop half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from stylefx.audio.fft.butterflies import LANES
from stylefx.audio.fft.rows import plan_of
from stylefx.differentiable.operators import forms
from stylefx.differentiable.operators.compiled.jit import for_rows
from stylefx.differentiable.operators.compiled.side_by_side import distance_rows
from stylefx.differentiable.operators.compiled.spectra import EPSILON, distance_frames

_CHUNK_SAMPLES = {"cpu": 1 << 19}  # samples per step: small enough for the caches
_DEVICE_SAMPLES = 1 << 24
_LARGEST_IN_LANES = 8192


def spectral_distance(output: Tensor, target: Tensor, windows: Sequence[Tensor], linear: float, logarithmic: float) -> Tensor:
    """Per item the mean over resolutions of the mean over channels, frames and bins of
    linear |X - Y| + logarithmic |log X - log Y|, X and Y the magnitudes; output, target (items, channels, n) -> (items,)."""
    tracking = torch.is_grad_enabled()
    sides = 2 if tracking and target.requires_grad else int(tracking and output.requires_grad)
    return _spectral_distance(output.contiguous(), target.contiguous(), list(windows), linear, logarithmic, sides)[0]


@torch.library.custom_op("stylefx::spectral_distance", mutates_args=())
def _spectral_distance(
    output: Tensor, target: Tensor, windows: Sequence[Tensor], linear: float, logarithmic: float, sides: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Distance per item, and the gradients of ``sides`` of the two signals (0: neither, 1: output, 2: both)."""
    items, channels, samples = output.shape
    signals = output.flatten(0, 1), target.flatten(0, 1)
    gradients = [torch.zeros_like(s) if side < sides else s.new_empty(0) for side, s in enumerate(signals)]
    distance = output.new_zeros(items * channels, dtype=torch.float64 if output.device.type == "cpu" else output.dtype)
    step = max(1, _CHUNK_SAMPLES.get(output.device.type, _DEVICE_SAMPLES) // samples)
    for window in windows:
        size = window.shape[0]
        frames, bins = samples // (size // 2) + 1, size // 2 + 1
        scale = 1.0 / (len(windows) * channels * frames * bins)
        if _side_by_side(output, size, frames):
            _distances_in_lanes(signals, window, linear * scale, logarithmic * scale, gradients[:sides], distance)
            continue
        for start in range(0, items * channels, step):
            rows = slice(start, start + step)
            spectra = [torch.fft.rfft(_frames(s[rows], window)) for s in signals]
            distance[rows] += _distances(spectra[0], spectra[1], linear * scale, logarithmic * scale, sides)
            for side in range(sides):
                _add_overlapped(gradients[side][rows], torch.fft.irfft(spectra[side], size, norm="forward"), window)
    distance = distance.view(items, channels).sum(1).to(output.dtype)
    of_output, of_target = (g.view_as(output) if side < sides else g for side, g in enumerate(gradients))
    return distance, of_output, of_target


@_spectral_distance.register_fake
def _(
    output: Tensor, target: Tensor, windows: list[Tensor], linear: float, logarithmic: float, sides: int
) -> tuple[Tensor, Tensor, Tensor]:
    of_output, of_target = (torch.empty_like(output) if side < sides else output.new_empty(0) for side in range(2))
    return output.new_empty(output.shape[0]), of_output, of_target


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.windows, ctx.sides = len(inputs[2]), inputs[-1]
    ctx.save_for_backward(*output[1 : 1 + ctx.sides])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, upstream: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    out: list[Any] = [None, None, [None] * ctx.windows, None, None, None]
    if upstream is not None:
        for side, gradient in enumerate(ctx.saved_tensors):
            out[side] = gradient * upstream[:, None, None]
    return tuple(out)


_spectral_distance.register_autograd(_backward, setup_context=_save)


def _frames(signals: Tensor, window: Tensor) -> Tensor:
    """(rows, n) -> windowed frames (rows, frames, size), centred, hop half a frame."""
    half = window.shape[0] // 2
    padded = pad(signals[:, None], (half, half), mode="reflect")[:, 0]
    return padded.unfold(-1, 2 * half, half) * window


def _side_by_side(audio: Tensor, size: int, frames: int) -> bool:
    """Whether 16 frames at a time are worth while: not where few are left over or they do not fit into the cache."""
    short = size <= _LARGEST_IN_LANES and frames >= 2 * LANES
    return short and audio.device.type == "cpu" and audio.dtype == torch.float32 and plan_of(size) is not None


def _distances_in_lanes(
    signals: tuple[Tensor, Tensor], window: Tensor, linear: float, logarithmic: float, gradients: list[Tensor], distance: Tensor
) -> None:
    """Of one resolution, added to ``distance`` (rows,) and to the gradients of as many signals as there are."""
    x, y, taper = (t.detach().numpy() for t in (*signals, window))
    of_x, of_y = (gradients[i].numpy() if i < len(gradients) else x[:, :0] for i in range(2))
    plan = plan_of(len(taper))
    for_rows(distance_rows, len(x), x, y, taper, plan, linear, logarithmic, len(gradients), of_x, of_y, distance.numpy())


def compiled_here(spectrum: Tensor) -> bool:
    return spectrum.device.type == "cpu"


def _distances(x: Tensor, y: Tensor, linear: float, logarithmic: float, sides: int) -> Tensor:
    """Weighted sums per row of spectra (rows, frames, bins); the first ``sides`` of them become their gradients."""
    if compiled_here(x):
        sums = x.new_empty(x.shape[0] * x.shape[1], dtype=torch.float64)
        real = [torch.view_as_real(s).view(len(sums), -1).numpy() for s in (x, y)]
        for_rows(distance_frames, len(sums), *real, linear, logarithmic, sides, sums.numpy())
        return sums.view(x.shape[:2]).sum(1)
    if forms.uses_triton(x):
        from stylefx.differentiable.operators.gpu import spectra

        return spectra.distances(x, y, linear, logarithmic, EPSILON, sides)
    powers = [s.real.square() + s.imag.square() for s in (x, y)]
    magnitudes = [p.clamp(min=EPSILON).sqrt() for p in powers]
    difference = magnitudes[0] - magnitudes[1]
    logs = torch.log(magnitudes[0] / magnitudes[1])
    total = (linear * difference.abs() + logarithmic * logs.abs()).sum((1, 2))
    sign = difference.sign()
    for side, spectrum in enumerate((x, y)[:sides]):
        m = magnitudes[side]
        # halved, but for the first and the last bin: what an unscaled inverse real FFT expects
        factor = (0.5 - side) * sign * (linear + logarithmic / m) / m * (powers[side] >= EPSILON)
        factor[..., 0] *= 2.0
        factor[..., -1] *= 2.0
        spectrum *= factor
    return total


def _add_overlapped(gradient: Tensor, frames: Tensor, window: Tensor) -> None:
    """The transpose of ``_frames``, added to gradient (rows, n): windowing, overlap, and the reflected ends."""
    half, samples = window.shape[0] // 2, gradient.shape[-1]
    frames = (frames * window).unflatten(-1, (2, half))
    padded = gradient.new_zeros(gradient.shape[0], samples + 2 * half)
    used = (frames.shape[1] + 1) * half
    padded[:, : used - half] += frames[:, :, 0].flatten(1)
    padded[:, half:used] += frames[:, :, 1].flatten(1)
    gradient += padded[:, half:-half]
    gradient[:, 1 : half + 1] += padded[:, :half].flip(-1)
    gradient[:, samples - half - 1 : samples - 1] += padded[:, -half:].flip(-1)
