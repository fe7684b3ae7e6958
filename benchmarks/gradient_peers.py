"""The same chain, equaliser and compressor, through other people's differentiable effects, for the benchmarks.

Every peer takes audio (items, 1, n), the 24 values of ``deepafx_st_chain`` as one dict of tensors (items,), and a rate.
The last one is our own minimal version of the older style: one item after the other, spectra of float32 coefficients, and
a compressor whose release is its attack.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stylefx.differentiable import DifferentiableChain
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.effects.presets import deepafx_st_chain
from tests.support.twin_references import cookbook, eq_sections, static_reduction

CHAIN = deepafx_st_chain()
NAMES = [p.name for p in CHAIN.parameters]
BANDS = ParametricEq().bands
RATE = 24000
Values = dict[str, Tensor]
_ours = DifferentiableChain(CHAIN)


def ours(audio: Tensor, values: Values, rate: float) -> Tensor:
    settings = [{k: values[k] for k in NAMES[:18]}, {k: values[k] for k in NAMES[18:]}]
    return _ours.render(audio, settings, rate, in_range=True)


def dasp(audio: Tensor, values: Values, rate: float) -> Tensor:
    """dasp-pytorch: frequency-sampled sections, a compressor that has one time constant."""
    from dasp_pytorch import functional

    per_band = [values[f"{name}_{unit}"].float() for name, *_ in BANDS for unit in ("gain_db", "cutoff_hz", "q")]
    audio = functional.parametric_eq(audio, rate, *per_band)
    names = ("threshold_db", "ratio", "attack_ms", "release_ms", "knee_db", "makeup_gain_db")
    return functional.compressor(audio, rate, *(values[n].float() for n in names))


def torchlpc_torchcomp(audio: Tensor, values: Values, rate: float) -> Tensor:
    """torchlpc runs the poles of each section, torchcomp's core the smoother; the rest is plain torch."""
    from torchcomp.core import compressor_core
    from torchlpc import sample_wise_lpc

    x = audio[:, 0]
    sections = eq_sections(BANDS, values, rate)
    sections = (sections / sections[..., 3:4]).float()
    for s in range(sections.shape[1]):
        b0, b1, b2, _, a1, a2 = (c[:, None] for c in sections[:, s].unbind(-1))
        padded = torch.nn.functional.pad(x, (2, 0))
        x = b0 * x + b1 * padded[:, 1:-1] + b2 * padded[:, :-2]
        x = sample_wise_lpc(x, torch.stack([a1, a2], -1).expand(-1, x.shape[1], -1))
    level = 20 * torch.log10(x.abs().clamp(min=10 ** (-96 / 20)))
    curve = {k: values[k].float() for k in ("threshold_db", "ratio", "knee_db")}
    reduction = static_reduction(level, curve, expander=False)
    attack, release = (-torch.expm1(-math.log(9) / (rate * values[f"{n}_ms"] / 1000)).float() for n in ("attack", "release"))
    smooth = compressor_core(-reduction, torch.zeros_like(attack), attack, release)
    gain = 10 ** ((values["makeup_gain_db"].float()[:, None] + smooth) / 20)
    return (x * gain)[:, None]


def per_item_loop(audio: Tensor, values: Values, rate: float) -> Tensor:
    """One item at a time in float32, everything in the frequency domain, the attack's time constant only."""
    out = []
    for item in range(audio.shape[0]):
        x = audio[item, 0]
        own = {k: v[item].float() for k, v in values.items()}
        length = 2 ** math.ceil(math.log2(2 * x.shape[0] - 1))
        for name, kind, *_ in BANDS:
            section = cookbook(kind, own[f"{name}_gain_db"], own[f"{name}_cutoff_hz"], own[f"{name}_q"], rate)
            response = torch.fft.rfft(section[:3], length) / torch.fft.rfft(section[3:], length)
            x = torch.fft.irfft(torch.fft.rfft(x, length) * response, length)[: audio.shape[-1]]
        level = 20 * torch.log10(x.abs().clamp(min=1e-8))
        curve = {k: own[k][None] for k in ("threshold_db", "ratio", "knee_db")}
        reduction = static_reduction(level[None], curve, expander=False)[0]
        a = torch.exp(-math.log(9) / (rate * own["attack_ms"] / 1000))
        zero, one = torch.zeros_like(a), torch.ones_like(a)
        response = torch.fft.rfft(torch.stack([1 - a, zero]), length) / torch.fft.rfft(torch.stack([one, -a]), length)
        smooth = torch.fft.irfft(torch.fft.rfft(reduction, length) * response, length)[: audio.shape[-1]]
        out.append((x * 10 ** ((own["makeup_gain_db"] - smooth) / 20))[None])
    return torch.stack(out)


PEERS: dict[str, Callable[[Tensor, Values, float], Tensor]] = {
    "stylefx": ours,
    "dasp-pytorch": dasp,
    "torchlpc + torchcomp": torchlpc_torchcomp,
    "per-item loop": per_item_loop,
}


def draw(items: int, samples: int, device: str = "cpu", seed: int = 0, one_time_constant: bool = False) -> tuple[Tensor, Values]:
    """Bursts of noise, float32 (items, 1, samples), and settings away from the ends of their ranges, float64."""
    generator = torch.Generator().manual_seed(seed)
    envelope = torch.rand(items, 1, samples // 256 + 1, generator=generator).square().repeat_interleave(256, -1)
    audio = 0.3 * torch.randn(items, 1, samples, generator=generator) * envelope[..., :samples]
    values = {}
    for p in CHAIN.parameters:
        controls = 0.15 + 0.7 * torch.rand(items, generator=generator, dtype=torch.float64)
        values[p.name] = torch.tensor([p.from_control(c) for c in controls.tolist()], dtype=torch.float64, device=device)
    if one_time_constant:
        values["release_ms"] = values["attack_ms"].clone()
    return audio.to(device), values


def gradients(peer: Callable, audio: Tensor, values: Values, upstream: Tensor) -> list[Tensor]:
    """Output, gradient of the audio, gradients of the 24 values."""
    x = audio.detach().requires_grad_()
    own = {k: v.detach().requires_grad_() for k, v in values.items()}
    out = peer(x, own, RATE)
    grads = torch.autograd.grad(out, [x, *own.values()], upstream, allow_unused=True)
    return [out.detach(), *(torch.zeros_like(t) if g is None else g for g, t in zip(grads, [x, *own.values()]))]
