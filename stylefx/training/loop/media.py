"""What TensorBoard shows beside curves: predicted settings as histograms, validation samples as audio and spectrograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stylefx.effects.chain import EffectChain
from stylefx.models.features import LogBands
from stylefx.training.loop.validation import ValidationReport

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_SHOWN = ("input", "reference", "target", "output")


def spectrogram_image(audio: Tensor, sample_rate: float) -> np.ndarray:
    """audio (channels, samples) -> uint8 (3, bands, frames): log bands from -100 dB (dark) to 0 dB, low frequencies below."""
    from matplotlib import colormaps

    level = LogBands(128, hop_s=0.01)(audio.mean(dim=0, keepdim=True), sample_rate)[0]
    shade = ((level + 2) / 5).clamp(0, 1).flip(0).numpy()
    return (colormaps["magma"](shade)[..., :3] * 255).astype(np.uint8).transpose(2, 0, 1)


def stacked(images: list[np.ndarray], gap: int = 4) -> np.ndarray:
    """Pictures of equal height or not, one below the other, (3, height, width)."""
    width = max(i.shape[2] for i in images)
    rows = [np.pad(i, ((0, 0), (0, gap), (0, width - i.shape[2])), constant_values=255) for i in images]
    return np.concatenate(rows, axis=1)


def setting_histograms(chain: EffectChain, controls: Tensor) -> dict[str, Tensor]:
    """Controls (items, num_controls) -> {"compressor/threshold_db": values (items,)} in physical units."""
    names = [f"{number}-{e.name}/{p.name}" for number, e in enumerate(chain.effects) for p in e.parameters]
    physical = [[p.from_control(c) for p, c in zip(chain.parameters, row, strict=True)] for row in controls.tolist()]
    return dict(zip(names, torch.tensor(physical, dtype=torch.float64).reshape(-1, len(names)).unbind(1), strict=True))


def show(writer: SummaryWriter, step: int, report: ValidationReport, chain: EffectChain, sample_rate: float) -> None:
    """Write a validation's histograms, audio and pictures (from above: input, reference, target, output)."""
    for name, values in setting_histograms(chain, report.controls).items():
        writer.add_histogram(f"settings/{name}", values, step)
    for number, item in enumerate(report.media):
        for name in _SHOWN:
            # TensorBoard clips at full scale; an output may be louder
            audio = item[name].mean(dim=0)
            writer.add_audio(f"sample-{number}/{name}", audio / audio.abs().max().clamp_min(1.0), step, int(sample_rate))
        picture = stacked([spectrogram_image(item[name], sample_rate) for name in _SHOWN])
        writer.add_image(f"sample-{number}/input-reference-target-output", picture, step)
