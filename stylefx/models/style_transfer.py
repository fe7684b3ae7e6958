"""The style-transfer model: an encoder heard twice, a controller, and a strategy that renders the effects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylefx.effects.chain import EffectChain
from stylefx.models.controller import Controller
from stylefx.models.encoder import Encoder
from stylefx.models.registry import make_encoder
from stylefx.strategies import make_strategy


class StyleTransferModel(nn.Module):
    """(input, reference) -> (output, controls).

    ``chain`` gives the meaning of the controls, ``sample_rate`` (Hz) is the rate of training; every method takes another
    rate as its last argument. ``mixed_precision`` runs encoder and controller in bfloat16; spectra and effects stay float32.
    """

    def __init__(self, encoder: Encoder, controller: Controller, strategy: nn.Module, chain: EffectChain, sample_rate: float):
        super().__init__()
        self.encoder, self.controller, self.strategy = encoder, controller, strategy
        self.chain, self.sample_rate = chain, float(sample_rate)
        self.mixed_precision = False

    def embed(self, audio: Tensor, sample_rate: float | None = None) -> Tensor:
        """audio (batch, channels, samples) -> embedding (batch, D) float32"""
        with torch.autocast(audio.device.type, torch.bfloat16, enabled=self.mixed_precision):
            return self.encoder(audio, sample_rate or self.sample_rate).float()

    def controls(self, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """Embeddings (batch, D) -> controls (batch, num_controls) in (0, 1), float32"""
        with torch.autocast(e_input.device.type, torch.bfloat16, enabled=self.mixed_precision):
            return self.controller(e_input, e_reference).float()

    def predict(self, audio: Tensor, reference: Tensor, sample_rate: float | None = None) -> Tensor:
        """Two recordings, (batch, channels, samples) each, not necessarily of one length -> controls (batch, num_controls)."""
        if audio.shape == reference.shape:
            e_input, e_reference = self.embed(torch.cat([audio, reference]), sample_rate).chunk(2)
        else:
            e_input, e_reference = self.embed(audio, sample_rate), self.embed(reference, sample_rate)
        return self.controls(e_input, e_reference)

    def forward(
        self, audio: Tensor, reference: Tensor, sample_rate: float | None = None, segment: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``segment`` is rendered in place of ``audio`` where only a stretch of it is wanted."""
        controls = self.predict(audio, reference, sample_rate)
        return self.strategy(audio if segment is None else segment, controls, sample_rate or self.sample_rate), controls

    def config(self) -> dict[str, Any]:
        """Plain data from which ``build_model`` makes the same model, weights aside."""
        return {
            "encoder": {"name": self.encoder.name, **self.encoder.options()},
            "controller": self.controller.options(),
            "strategy": {"name": self.strategy.name, **self.strategy.options()},
            "chain": self.chain.to_dict(),
            "sample_rate": self.sample_rate,
        }


def build_model(config: dict[str, Any]) -> StyleTransferModel:
    """A model with fresh weights from ``config()``'s data; UserError for unknown names and options."""
    chain, rate = EffectChain.from_dict(config["chain"]), float(config["sample_rate"])
    encoder = make_encoder(**config["encoder"])
    controller = Controller(encoder.embedding_size, chain.default_controls, **config.get("controller", {}))
    strategy = dict(config.get("strategy", {"name": "ad"}))
    return StyleTransferModel(encoder, controller, make_strategy(strategy.pop("name"), chain, rate, **strategy), chain, rate)
