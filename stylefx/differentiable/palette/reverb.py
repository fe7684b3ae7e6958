"""Differentiable reverberation: the delay network in blocks as long as its shortest line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.forms import constants
from stylefx.differentiable.operators.mixing import blend
from stylefx.differentiable.operators.scans import state_dtype
from stylefx.differentiable.registry import Twin, twin_of
from stylefx.effects.kernels.biquad import CLAMP
from stylefx.effects.kernels.low_rate import REFERENCE_RATE, first_order_map
from stylefx.effects.palette.reverb import LINES, Reverb, feedback_matrix, line_gains, line_lengths
from stylefx.errors import UserError


@twin_of("reverb")
class ReverbTwin(Twin):
    """``stylefx.effects.palette.reverb``: gradients to decay, its ratio, the crossover, the mix and the audio.

    What leaves a line was written at least a shortest line ago, so a whole block of that length is computed at once.
    """

    effect: Reverb

    def render(self, audio: Tensor, settings: Mapping[str, Tensor], sample_rate: float, in_range: bool) -> Tensor:
        channels, samples = audio.shape[1:]
        if channels > 2:
            raise UserError(f"reverb: the audio has {channels} channels; it works on mono and stereo")
        dtype, lengths = state_dtype(audio.device), tuple(line_lengths(self.effect.size, sample_rate).tolist())
        matrix, into, out_of, seconds, reads = constants(*_constants(lengths, sample_rate, channels, dtype, audio.device))
        shelves = _absorption(seconds, settings, sample_rate)
        energy = torch.exp(-6.0 * math.log(10.0) * seconds / settings["decay_s"][:, None])
        level = ((1.0 - energy).mean(-1) / energy.mean(-1)).sqrt()
        predelay = self.effect.predelay(sample_rate)
        fed = into @ pad(audio, (predelay, 0))[..., :samples].to(dtype)
        filtered = _network(fed, shelves, matrix, reads, max(lengths))
        wet = level[:, None, None] * (out_of @ filtered)
        return blend(audio, wet.to(audio.dtype), settings["mix"])


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # whoever trains later may use them too
def _constants(
    lengths: tuple[Any, ...], sample_rate: float, channels: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Matrix, gains in and out, seconds of the lines; and where in the last max(lengths) samples each line reads a block."""
    values = (feedback_matrix(), *line_gains(channels), np.array(lengths) / sample_rate)
    reads = max(lengths) - np.array(lengths)[:, None] + np.arange(min(lengths))
    return *(torch.as_tensor(v, dtype=dtype, device=device) for v in values), torch.as_tensor(reads, device=device)


def _absorption(seconds: Tensor, settings: Mapping[str, Tensor], sample_rate: float) -> Tensor:
    """First-order shelves of the lines, (items, 8, 3): b0, b1, a1, as in ``stylefx.effects.palette.reverb.absorption``."""
    decay, ratio = settings["decay_s"][:, None], settings["high_decay_ratio"][:, None]
    low = torch.exp(-3.0 * math.log(10.0) * seconds / decay)
    root = torch.exp(-1.5 * math.log(10.0) * seconds / decay * (1.0 / ratio - 1.0))
    crossover_hz, limit = settings["crossover_hz"], CLAMP * 0.5 * sample_rate
    k = torch.tan(math.pi / sample_rate * crossover_hz.clamp(max=limit))[:, None]
    a0 = k * root + 1.0
    shelves = torch.stack([low * root * (k + root) / a0, low * root * (k - root) / a0, (k * root - 1.0) / a0], -1)
    if sample_rate >= REFERENCE_RATE:
        return shelves
    a, c = first_order_map(sample_rate)
    held = torch.tan(math.pi / REFERENCE_RATE * crossover_hz.clamp(limit, CLAMP * 0.5 * REFERENCE_RATE))[:, None]
    zero, pole = (c + a * (root / held).square()).sqrt(), (c * root.square() + a / held.square()).sqrt()
    total = root + pole
    mapped = [low * root * (1.0 + zero) / total, low * root * (1.0 - zero) / total, (root - pole) / total]
    return torch.where((crossover_hz > limit)[:, None, None], torch.stack(mapped, -1), shelves)


def _network(fed: Tensor, shelves: Tensor, matrix: Tensor, reads: Tensor, longest: int) -> Tensor:
    """fed (items, 8, n) into the lines -> what the absorption filters give, (items, 8, n)."""
    items, _, samples = fed.shape
    block = reads.shape[1]
    b0, b1, a1 = (c[..., None] for c in shelves.unbind(-1))
    zero = torch.zeros_like(b0)
    coefficients = torch.cat([b0, b1, zero, a1, zero], -1).reshape(items * LINES, 1, 5)
    # A block of the filter started from zero lacks what its state was: (b1 v - a1 s) (-a1)^n.
    steps = torch.arange(block, device=fed.device)
    memory = torch.where(steps == 0, 1.0, (-a1).abs().clamp(min=1e-300) ** steps * torch.where(steps % 2 == 0, 1.0, -a1.sign()))
    reads = reads.expand(items, -1, -1)
    history = fed.new_zeros(items, LINES, longest)
    last_read, last_filtered, out = fed.new_zeros(items, LINES, 1), fed.new_zeros(items, LINES, 1), []
    for start in range(0, samples, block):
        read = history.gather(-1, reads)
        filtered = biquads(read.reshape(items * LINES, 1, block), coefficients).view_as(read)
        filtered = filtered + memory * (b1 * last_read - a1 * last_filtered)
        last_read, last_filtered = read[..., -1:], filtered[..., -1:]
        out.append(filtered)
        written = matrix @ filtered + pad(fed[..., start : start + block], (0, max(0, start + block - samples)))
        history = torch.cat([history[..., block:], written], -1)
    return torch.cat(out, -1)[..., :samples]
