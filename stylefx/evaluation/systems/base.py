"""What is compared: a system takes pairs (input, reference) and gives outputs, and settings where it has any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylefx.audio.resampling import resample
from stylefx.effects.levels import at_recording_level
from stylefx.evaluation.pairs import Pair


@dataclass(frozen=True)
class SystemOutput:
    """Output float32 (channels, samples), shaped like the pair's input; ``settings`` of the model's chain, or None."""

    output: np.ndarray
    settings: list[dict[str, Any]] | None = None


class System(ABC):
    """One line of a table of results."""

    name: str
    title: str

    @abstractmethod
    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        """One outcome per pair; only the oracle looks at the pair's target."""


class Untouched(System):
    """The input as it is: the distance that there is to close."""

    name, title = "input", "input"

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        return [SystemOutput(pair.input) for pair in pairs]


class ModelSystem(System):
    """A style-transfer model. The model listens at its own rate; the effects render at the pair's.

    ``relevel``: pairs have another level than the model was trained on, so each is brought to it, and the output brought back.
    """

    name, title = "model", "model"

    def __init__(self, model: Any, device: str = "cpu", intent: str | None = None, relevel: bool = False):
        self.model, self.device, self.intent, self.relevel = model.to(device).eval(), device, intent, relevel
        self.chain = model.chain

    def by_intent(self) -> list[ModelSystem]:
        """One system for each intent that the model tells apart, the first under the plain name; itself when set to one."""
        known = getattr(self.model, "intents", ())
        if self.intent is not None or len(known) < 2:
            return [self]
        out = []
        for number, intent in enumerate(known):
            system = copy(self)
            system.intent, system.title = intent, f"model, {intent}"
            system.name = self.name if number == 0 else f"{self.name}-{intent}"
            out.append(system)
        return out

    def predict(
        self, inputs: Sequence[np.ndarray], references: Sequence[np.ndarray], sample_rate: float, native: bool = False
    ) -> np.ndarray:
        """Lists of (channels, samples) at ``sample_rate`` -> controls, float64 (items, num_controls).

        ``native`` lets the encoder hear the audio's own rate. Items of one shape go through the model together.
        """
        import torch

        rate = sample_rate if native else self.model.sample_rate
        heard = [tuple(self._heard(x, sample_rate, rate) for x in pair) for pair in zip(inputs, references, strict=True)]
        controls = np.zeros((len(heard), self.chain.num_controls))
        with torch.inference_mode():
            for index in _same_shapes(heard):
                x, y = (torch.from_numpy(np.stack([heard[i][side] for i in index])).to(self.device) for side in (0, 1))
                wanted = {} if self.intent is None else {"intent": self.intent}
                controls[index] = self.model.predict(x, y, rate, **wanted).double().cpu().numpy()
        return controls

    def _heard(self, audio: np.ndarray, sample_rate: float, rate: float) -> np.ndarray:
        heard = resample(audio, sample_rate, rate)
        return _raised(heard, self.model.level.gain_db(heard, rate)) if self.relevel else heard

    def styles(self, embeddings: np.ndarray) -> np.ndarray | None:
        """What ``embed`` gave -> what the model believes was done, float64 (items, any); None where it has no word for that."""
        import torch

        with torch.inference_mode():
            found = self.model.style_embedding(torch.from_numpy(embeddings).float().to(self.device))
        return None if found is None else found.double().cpu().numpy()

    def embed(self, audio: Sequence[np.ndarray], sample_rate: float) -> np.ndarray:
        """List of (channels, samples) -> embeddings, float64 (items, dimensions)."""
        import torch

        heard = [(self._heard(x, sample_rate, self.model.sample_rate),) for x in audio]
        out: list[np.ndarray] = [np.empty(0)] * len(heard)
        with torch.inference_mode():
            for index in _same_shapes(heard):
                batch = torch.from_numpy(np.stack([heard[i][0] for i in index])).to(self.device)
                for i, row in zip(index, self.model.embed(batch).double().cpu().numpy(), strict=True):
                    out[i] = row
        return np.stack(out)

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        rate = pairs[0].sample_rate
        controls = self.predict([p.input for p in pairs], [p.reference for p in pairs], rate)
        if not np.isfinite(controls).all():  # a model that diverged: the items fail, the run goes on
            return [SystemOutput(np.full_like(p.input, np.nan)) for p in pairs]
        return [self.render(pair.input, c, rate) for pair, c in zip(pairs, controls, strict=True)]

    def render(self, audio: np.ndarray, controls: np.ndarray, sample_rate: float) -> SystemOutput:
        """Controls (num_controls,) -> the outcome of the exact render, or of the network where the strategy has no effects."""
        strategy = getattr(self.model, "strategy", None)
        if strategy is not None and not strategy.renders_settings:
            gain_db = self.model.level.gain_db(audio, sample_rate) if self.relevel else 0.0
            output = self._network(strategy, _raised(audio, gain_db), controls, sample_rate)
            return SystemOutput(_raised(output, -gain_db))
        settings = self.chain.settings(controls)
        if self.relevel:
            gain_db = self.model.level.gain_db(audio, sample_rate)
            chain, settings = at_recording_level(self.chain, settings, gain_db)
            return SystemOutput(chain.render(audio, settings, sample_rate), settings if chain is self.chain else None)
        return SystemOutput(self.chain.render(audio, settings, sample_rate), settings)

    def _network(self, strategy: Any, audio: np.ndarray, controls: np.ndarray, sample_rate: float) -> np.ndarray:
        """A network hears only its own rate: there and back."""
        import torch

        rate = self.model.sample_rate
        batch = torch.from_numpy(resample(audio, sample_rate, rate))[None].to(self.device)
        with torch.inference_mode():
            out = strategy(batch, torch.from_numpy(controls)[None].to(batch), rate)[0].cpu().numpy()
        return resample(out, rate, sample_rate, out_frames=audio.shape[1])


def _raised(audio: np.ndarray, gain_db: float) -> np.ndarray:
    return audio * np.float32(10.0 ** (gain_db / 20.0)) if gain_db else audio


def _same_shapes(items: Sequence[tuple[np.ndarray, ...]]) -> list[list[int]]:
    """Positions of the items, those of equal shapes together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, arrays in enumerate(items):
        groups.setdefault(tuple(a.shape for a in arrays), []).append(i)
    return list(groups.values())
