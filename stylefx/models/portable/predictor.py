"""What is exported: windows of two recordings in, controls out, as ``StyleTransferModel.predict`` makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylefx import __version__
from stylefx.models.style_transfer import StyleTransferModel


class Predictor(nn.Module):
    """Input and reference, (batch, 1, ``window_samples``) each at the model's rate and level -> controls (batch, num_controls).

    A model that knows intents takes a third input, the place of each item's in ``intents``, int64 (batch,).
    """

    def __init__(self, model: StyleTransferModel, window_samples: int):
        super().__init__()
        self.model, self.window_samples = model, window_samples

    def forward(self, audio: Tensor, reference: Tensor, intent: Tensor | None = None) -> Tensor:
        rate = self.model.sample_rate
        e_input, e_reference = self.model.encoder(audio, rate), self.model.encoder(reference, rate)
        return self.model.controller(e_input, e_reference, intent)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("audio", "reference", "intent") if self.model.intents else ("audio", "reference")

    def examples(self, batch: int) -> tuple[Tensor, ...]:
        """Windows to trace and to check with: bursts of coloured noise at a peak of -12 dBFS, every item another, the intents in
        turn."""
        sides = [self._bursts(2 * i + side) for side in (0, 1) for i in range(batch)]
        audio, reference = torch.stack(sides).unsqueeze(1).split(batch)
        if not self.model.intents:
            return audio, reference
        return audio, reference, torch.arange(batch) % len(self.model.intents)

    def _bursts(self, number: int) -> Tensor:
        n = self.window_samples
        rng = np.random.Generator(np.random.Philox(key=number))
        spectrum = np.fft.rfft(rng.standard_normal(n)) / np.arange(1, n // 2 + 2) ** (0.3 + 0.1 * (number % 7))
        level = 0.1 + np.abs(np.sin(np.arange(n) * (3 + number % 5) * np.pi / n)) ** 2
        audio = np.fft.irfft(spectrum, n) * level
        return torch.from_numpy((0.25 * audio / np.abs(audio).max()).astype(np.float32))

    def description(self, name: str, sha256: str) -> dict[str, Any]:
        """What whoever calls it must know, as plain data: the window, its level, the meaning of every control."""
        model = self.model
        return {
            "format": "stylefx-portable-model",
            "version": 1,
            "made_by": f"stylefx {__version__}",
            "model": name,
            "sha256": sha256,
            "sample_rate_hz": model.sample_rate,
            "window_samples": self.window_samples,
            "level": model.level.to_data(),
            "intents": list(model.intents),
            "controls": [
                {"effect": effect.name, **parameter.to_dict()}
                for effect in model.chain.effects
                for parameter in effect.parameters
            ],
            "chain": model.chain.to_dict(),
        }
