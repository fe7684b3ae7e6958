"""The paper's training step, written again from its description: the peer of `train_step`.

One item at a time: six biquads whose float32 coefficients are sampled on an FFT grid, one after another; a feed-forward
compressor whose smoothing is one FFT-sampled one-pole filter. EfficientNet-B2 with batch statistics, auraloss.
"""

from __future__ import annotations

import math

import auraloss
import torch
from torch import Tensor, nn

from stylefx.differentiable import DifferentiableChain
from stylefx.effects.presets import deepafx_st_chain
from stylefx.models.controller import Controller
from stylefx.models.paper_b2 import PaperB2Encoder

BANDS = (("low_shelf", "low"), ("band1", "peak"), ("band2", "peak"), ("band3", "peak"), ("band4", "peak"), ("high_shelf", "high"))
FFT_SIZES = [32, 128, 512, 2048, 8192, 32768]


def biquad(kind: str, gain_db: Tensor, cutoff_hz: Tensor, q: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """RBJ cookbook: numerator and denominator, (3,) each."""
    a, w = torch.pow(10.0, gain_db / 40), 2 * math.pi * cutoff_hz / rate
    cosine, alpha = torch.cos(w), torch.sin(w) / (2 * q)
    if kind == "peak":
        return torch.stack([1 + alpha * a, -2 * cosine, 1 - alpha * a]), torch.stack([1 + alpha / a, -2 * cosine, 1 - alpha / a])
    sign, root = (1.0 if kind == "low" else -1.0), 2 * torch.sqrt(a) * alpha
    b = [a * ((a + 1) - sign * (a - 1) * cosine + root), sign * 2 * a * ((a - 1) - sign * (a + 1) * cosine),
         a * ((a + 1) - sign * (a - 1) * cosine - root)]  # fmt: skip
    d = [(a + 1) + sign * (a - 1) * cosine + root, -sign * 2 * ((a - 1) + sign * (a + 1) * cosine),
         (a + 1) + sign * (a - 1) * cosine - root]  # fmt: skip
    return torch.stack(b), torch.stack(d)


def sampled_filter(x: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """Filter (samples,) by the coefficients' responses on the grid of an FFT of twice the next power of two."""
    size = 2 ** math.ceil(math.log2(2 * x.shape[-1] - 1))
    response = torch.fft.rfft(b, size) / torch.fft.rfft(a, size)
    return torch.fft.irfft(torch.fft.rfft(x, size) * response, size)[: x.shape[-1]]


def render_item(x: Tensor, eq: dict[str, Tensor], dynamics: dict[str, Tensor], rate: float) -> Tensor:
    """One item (samples,) through equaliser and compressor."""
    for band, kind in BANDS:
        b, a = biquad(kind, eq[f"{band}_gain_db"], eq[f"{band}_cutoff_hz"], eq[f"{band}_q"], rate)
        x = sampled_filter(x, b, a)
    level, t, knee = 20 * torch.log10(x.abs().clamp_min(1e-8)), dynamics["threshold_db"], dynamics["knee_db"] + 1e-3
    slope = 1 - 1 / dynamics["ratio"]
    over = level - t
    soft = slope * (over + knee / 2).square() / (2 * knee)
    reduction = torch.where(over < -knee / 2, torch.zeros_like(over), torch.where(over > knee / 2, slope * over, soft))
    pole = torch.exp(-math.log(9) / (rate * dynamics["attack_ms"] * 1e-3))
    smooth = sampled_filter(
        reduction, torch.stack([1 - pole, torch.zeros_like(pole)]), torch.stack([torch.ones_like(pole), -pole])
    )
    return x * torch.pow(10.0, (dynamics["makeup_gain_db"] - smooth) / 20)


class PaperStep(nn.Module):
    """forward(input, reference, target), (batch, 1, samples) each -> loss, every item through the effects on its own."""

    def __init__(self, rate: float):
        super().__init__()
        chain = deepafx_st_chain()
        self.rate, self.encoder = rate, PaperB2Encoder()
        self.controller = Controller(self.encoder, chain, rate, 256, difference=False, shortcut=False)
        self.maps = DifferentiableChain(chain)
        self.spectral = auraloss.freq.MultiResolutionSTFTLoss(
            fft_sizes=FFT_SIZES, hop_sizes=[n // 2 for n in FFT_SIZES], win_lengths=FFT_SIZES,
            w_sc=0.0, w_phs=0.0, w_lin_mag=1.0, w_log_mag=1.0,
        )  # fmt: skip

    def controls(self, audio: Tensor, reference: Tensor) -> Tensor:
        return self.controller(self.encoder(audio, self.rate), self.encoder(reference, self.rate))

    def effects(self, audio: Tensor, controls: Tensor) -> Tensor:
        eq, dynamics = ({k: v.float() for k, v in part.items()} for part in self.maps.settings(controls))
        items = [
            render_item(x[0], {k: v[i] for k, v in eq.items()}, {k: v[i] for k, v in dynamics.items()}, self.rate)
            for i, x in enumerate(audio)
        ]
        return torch.stack(items)[:, None]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return self.spectral(output, target) + 100 * (output - target).abs().mean()
