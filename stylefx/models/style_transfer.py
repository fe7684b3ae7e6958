"""The style-transfer model: an encoder heard twice, a controller, and a strategy that renders the effects."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylefx.audio.levels import DEFAULT_LEVEL
from stylefx.effects.chain import EffectChain
from stylefx.models.controller import Controller
from stylefx.models.encoder import Encoder
from stylefx.models.intents import intent_number
from stylefx.models.registry import make_controller, make_encoder
from stylefx.models.solver.controller import SolverController
from stylefx.models.solver.doubt import Belief
from stylefx.plugins import EFFECTS, ENCODERS, fingerprint, provider
from stylefx.strategies import make_strategy
from stylefx.strategies.base import Strategy


class StyleTransferModel(nn.Module):
    """(input, reference) -> (output, controls).

    ``chain`` gives the meaning of the controls, ``sample_rate`` (Hz) is the rate of training; every method takes another
    rate as an argument. ``intents`` are those that the controller tells apart; an ``intent`` is the name of one, or for a batch
    the places (batch,) of each item's; without it the first is meant. ``mixed_precision`` runs encoder and controller in
    bfloat16; spectra and effects stay float32. ``level`` is that of the audio it was trained on.
    """

    encoder: Encoder
    controller: Controller | SolverController
    strategy: Strategy

    def __init__(
        self,
        encoder: Encoder,
        controller: Controller | SolverController,
        strategy: Strategy,
        chain: EffectChain,
        sample_rate: float,
    ):
        super().__init__()
        self.encoder, self.controller, self.strategy = encoder, controller, strategy
        self.chain, self.sample_rate = chain, float(sample_rate)
        self.mixed_precision = False
        self.level = DEFAULT_LEVEL

    def embed(self, audio: Tensor, sample_rate: float | None = None) -> Tensor:
        """audio (batch, channels, samples) -> embedding (batch, D) float32"""
        with torch.autocast(audio.device.type, torch.bfloat16, enabled=self.mixed_precision):
            return self.encoder(audio, sample_rate or self.sample_rate).float()

    def style_embedding(self, embedding: Tensor) -> Tensor | None:
        """Embeddings (batch, D) -> what the controller believes was done to those recordings, (batch, any); None where it has no
        word for that."""
        of = getattr(self.controller, "style_embedding", None)
        return None if of is None else of(embedding)

    @property
    def intents(self) -> tuple[str, ...]:
        return self.controller.intents

    def controls(self, e_input: Tensor, e_reference: Tensor, intent: str | Tensor | None = None) -> Tensor:
        """Embeddings (batch, D) -> controls (batch, num_controls) in (0, 1), float32"""
        intent = self._places(intent, e_input)
        with torch.autocast(e_input.device.type, torch.bfloat16, enabled=self.mixed_precision):
            return self.controller(e_input, e_reference, intent).float()

    def belief(self, e_input: Tensor, e_reference: Tensor, intent: str | Tensor | None = None) -> Belief | None:
        """What the model is after, and how sure it is, for one pair (1, D) each; None where its controller does not say."""
        return self.controls_and_belief(e_input, e_reference, intent)[1]

    def controls_and_belief(
        self, e_input: Tensor, e_reference: Tensor, intent: str | Tensor | None = None
    ) -> tuple[Tensor, Belief | None]:
        """``controls`` and ``belief`` of one pair, (1, D) each, for hardly more than one of them."""
        controller: Any = self.controller
        if not hasattr(controller, "belief"):
            return self.controls(e_input, e_reference, intent), None
        intent = self._places(intent, e_input)
        with torch.autocast(e_input.device.type, torch.bfloat16, enabled=self.mixed_precision):
            wanted = controller.wanted(e_input, e_reference, intent)
            controls = controller.settled(wanted, e_input, e_reference).float()
        return controls, controller.belief(e_input, e_reference, wanted, intent)

    def _places(self, intent: str | Tensor | None, like: Tensor) -> Tensor | None:
        if not isinstance(intent, str):
            return intent
        number = intent_number(intent, self.intents, "the model")
        return torch.full((len(like),), number, dtype=torch.long, device=like.device)

    def predict(
        self, audio: Tensor, reference: Tensor, sample_rate: float | None = None, intent: str | Tensor | None = None
    ) -> Tensor:
        """Two recordings, (batch, channels, samples) each, not necessarily of one length -> controls (batch, num_controls)."""
        if audio.shape == reference.shape:
            e_input, e_reference = self.embed(torch.cat([audio, reference]), sample_rate).chunk(2)
        else:
            e_input, e_reference = self.embed(audio, sample_rate), self.embed(reference, sample_rate)
        return self.controls(e_input, e_reference, intent)

    def forward(
        self,
        audio: Tensor,
        reference: Tensor,
        sample_rate: float | None = None,
        segment: Tensor | None = None,
        intent: str | Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """``segment`` is rendered in place of ``audio`` where only a stretch of it is wanted."""
        controls = self.predict(audio, reference, sample_rate, intent)
        return self.strategy(audio if segment is None else segment, controls, sample_rate or self.sample_rate), controls

    def config(self) -> dict[str, Any]:
        """Plain data from which ``build_model`` makes the same model, weights aside."""
        config = {
            "encoder": {"name": self.encoder.name, **self.encoder.options()},
            "controller": self.controller.options(),
            "strategy": {"name": self.strategy.name, **self.strategy.options()},
            "chain": self.chain.to_dict(),
            "sample_rate": self.sample_rate,
        }
        used = plugins_of(self.encoder.name, self.chain)
        return config | ({"plugins": {package: fingerprint(package) for package in used}} if used else {})


def plugins_of(encoder: str, chain: EffectChain) -> list[str]:
    """The packages of plug-ins that a model is made of."""
    named = [provider(ENCODERS, encoder), *(provider(EFFECTS, effect.name) for effect in chain.effects)]
    return sorted({package for package in named if package is not None})


def build_model(config: dict[str, Any]) -> StyleTransferModel:
    """A model with fresh weights from ``config()``'s data; UserError for unknown names and options."""
    chain, rate = EffectChain.from_dict(config["chain"]), float(config["sample_rate"])
    encoder = make_encoder(**config["encoder"])
    controller = make_controller(encoder, chain, rate, **config.get("controller", {}))
    strategy = dict(config.get("strategy", {"name": "ad"}))
    return StyleTransferModel(encoder, controller, make_strategy(strategy.pop("name"), chain, rate, **strategy), chain, rate)
