"""Independent references in float64: textbook formulae, one sample at a time, gradients by torch's autograd through the loop."""

from __future__ import annotations

import math

import numpy as np
import scipy.signal
import torch
from torch import Tensor


def cookbook(kind: str, gain_db: Tensor, cutoff_hz: Tensor, q: Tensor, rate: float) -> Tensor:
    """RBJ's formulae with cos(w0) and alpha, as printed; returns (..., 6): b0 b1 b2 a0 a1 a2."""
    w0 = 2 * math.pi * cutoff_hz.clamp(max=0.45 * rate) / rate
    cos, alpha, a = torch.cos(w0), torch.sin(w0) / (2 * q), 10 ** (gain_db / 40)
    slope = 2 * torch.sqrt(a) * alpha
    if kind == "peak":
        rows = (1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a)
    elif kind == "low_shelf":
        rows = (
            a * ((a + 1) - (a - 1) * cos + slope),
            2 * a * ((a - 1) - (a + 1) * cos),
            a * ((a + 1) - (a - 1) * cos - slope),
            (a + 1) + (a - 1) * cos + slope,
            -2 * ((a - 1) + (a + 1) * cos),
            (a + 1) + (a - 1) * cos - slope,
        )
    elif kind == "high_shelf":
        rows = (
            a * ((a + 1) + (a - 1) * cos + slope),
            -2 * a * ((a - 1) + (a + 1) * cos),
            a * ((a + 1) + (a - 1) * cos - slope),
            (a + 1) - (a - 1) * cos + slope,
            2 * ((a - 1) - (a + 1) * cos),
            (a + 1) - (a - 1) * cos - slope,
        )
    else:
        tops = {
            "high_pass": ((1 + cos) / 2, -(1 + cos), (1 + cos) / 2),
            "low_pass": ((1 - cos) / 2, 1 - cos, (1 - cos) / 2),
            "notch": (torch.ones_like(cos), -2 * cos, torch.ones_like(cos)),
        }
        rows = (*tops[kind], 1 + alpha, -2 * cos, 1 - alpha)
    return torch.stack(rows, -1)


def eq_sections(bands, settings: dict[str, Tensor], rate: float) -> Tensor:
    """(items, bands, 6) of an equaliser with the bands (name, kind, ...)."""
    rows = []
    for name, kind, *_ in bands:
        q = settings[f"{name}_q"]
        rows.append(cookbook(kind, settings.get(f"{name}_gain_db", torch.zeros_like(q)), settings[f"{name}_cutoff_hz"], q, rate))
    return torch.stack(rows, 1)


def scipy_filter(audio: np.ndarray, sections: np.ndarray) -> np.ndarray:
    """audio (items, channels, n) through (items, sections, 6), float64."""
    sections = sections / sections[..., 3:4]
    return np.stack([scipy.signal.sosfilt(s, x.astype(np.float64), axis=-1) for s, x in zip(sections, audio)])


def loop_filter(audio: Tensor, sections: Tensor) -> Tensor:
    """Direct form I, sample by sample; differentiable."""
    c = (sections / sections[..., 3:4])[:, :, None]  # (items, sections, 1, 6)
    signal = list(audio.double().unbind(-1))
    for s in range(sections.shape[1]):
        b0, b1, b2, _, a1, a2 = c[:, s].unbind(-1)
        zero = torch.zeros_like(signal[0])
        x1, x2, y1, y2, out = zero, zero, zero, zero, []
        for x in signal:
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            out.append(y)
        signal = out
    return torch.stack(signal, -1)


def static_reduction(level: Tensor, s: dict[str, Tensor], expander: bool) -> Tensor:
    """Giannoulis et al., equation 4, case by case."""
    threshold, knee, ratio = s["threshold_db"][:, None], s["knee_db"][:, None], s["ratio"][:, None]
    d = threshold - level if expander else level - threshold
    slope = ratio - 1 if expander else 1 - 1 / ratio
    parabola = slope * (d + knee / 2) ** 2 / (2 * torch.where(knee > 0, knee, torch.ones_like(knee)))
    r = torch.where(2 * d > knee, slope * d, torch.where(2 * d < -knee, torch.zeros_like(d), parabola))
    if expander:
        r = torch.minimum(r, s["range_db"][:, None])
    return r


def loop_dynamics(audio: Tensor, s: dict[str, Tensor], rate: float, expander: bool = False) -> Tensor:
    """Compressor or expander, sample by sample; audio (items, channels, n) float64; differentiable."""
    level = 20 * torch.log10(audio.abs().amax(1).clamp(min=10 ** (-96 / 20)))
    r = static_reduction(level, s, expander).unbind(-1)
    attack, release = (torch.exp(-math.log(9) / (rate * s[f"{name}_ms"] / 1000)) for name in ("attack", "release"))
    y, out = torch.zeros_like(r[0]), []
    for value in r:
        attacking = value < y if expander else value > y
        a = torch.where(attacking, attack, release)
        y = a * y + (1 - a) * value
        out.append(y)
    gain = 10 ** ((s["makeup_gain_db"][:, None] - torch.stack(out, -1)) / 20)
    return audio * gain[:, None]


def relative(value, truth) -> float:
    """Relative RMS error over everything."""
    value, truth = (np.asarray(v.detach() if isinstance(v, Tensor) else v, dtype=np.float64) for v in (value, truth))
    return float(np.linalg.norm(value - truth) / max(np.linalg.norm(truth), 1e-300))


def worst_item(value, truth) -> float:
    """The largest relative RMS error of an item (first dimension)."""
    return max(relative(v, t) for v, t in zip(value, truth, strict=True))


def worst_parameter(values, truths) -> float:
    """The largest error of a parameter's gradient, values (parameters, items): relative to that gradient, or to 1 % of the
    item's whole gradient where it is smaller (there a relative error measures nothing)."""
    values, truths = (np.stack([np.asarray(v, dtype=np.float64) for v in vs]) for vs in (values, truths))
    scale = np.maximum(np.abs(truths), 1e-2 * np.linalg.norm(truths, axis=0))
    return float((np.abs(values - truths) / np.maximum(scale, 1e-300)).max())


def music(items: int, channels: int, samples: int, rate: float, seed: int = 0) -> Tensor:
    """float32 (items, channels, samples): notes with attacks and decays, noise, pauses, levels from -60 to -1 dB."""
    draw = np.random.default_rng(seed)
    t = np.arange(samples) / rate
    out = np.zeros((items, channels, samples))
    for item in range(items):
        for _ in range(8):
            start, f, decay = draw.uniform(0, t[-1]), 40 * 2 ** draw.uniform(0, 7), draw.uniform(5, 60)
            envelope = np.where(t >= start, np.exp(-decay * np.maximum(t - start, 0)), 0) * 10 ** (draw.uniform(-40, 0) / 20)
            out[item] += envelope * (np.sin(2 * np.pi * f * t) + 0.1 * draw.standard_normal((channels, samples)))
        out[item] *= 10 ** (draw.uniform(-30, -1) / 20) / np.abs(out[item]).max()
    return torch.tensor(out, dtype=torch.float32)
