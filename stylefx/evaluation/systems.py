"""What is compared: a system takes pairs (input, reference) and gives outputs, and settings where it has any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylefx.audio.resampling import resample
from stylefx.evaluation.pairs import Pair


@dataclass(frozen=True)
class Outcome:
    """Output float32 (channels, samples), shaped like the pair's input; ``settings`` of the model's chain, or None."""

    output: np.ndarray
    settings: list[dict] | None = None


class System(ABC):
    """One line of a table of results."""

    name: str
    title: str

    @abstractmethod
    def __call__(self, pairs: Sequence[Pair]) -> list[Outcome]:
        """One outcome per pair; only the oracle looks at the pair's target."""


class Untouched(System):
    """The input as it is: the distance that there is to close."""

    name, title = "input", "input"

    def __call__(self, pairs: Sequence[Pair]) -> list[Outcome]:
        return [Outcome(pair.input) for pair in pairs]


class Model(System):
    """A style-transfer model. The model listens at its own rate; the effects render at the pair's."""

    name, title = "model", "model"

    def __init__(self, model: Any, device: str = "cpu"):
        self.model, self.device = model.to(device).eval(), device
        self.chain = model.chain

    def predict(
        self, inputs: Sequence[np.ndarray], references: Sequence[np.ndarray], sample_rate: float, native: bool = False
    ) -> np.ndarray:
        """Lists of (channels, samples) at ``sample_rate`` -> controls, float64 (items, num_controls).

        ``native`` lets the encoder hear the audio's own rate. Items of one shape go through the model together.
        """
        import torch

        rate = sample_rate if native else self.model.sample_rate
        heard = [tuple(resample(x, sample_rate, rate) for x in pair) for pair in zip(inputs, references, strict=True)]
        controls = np.zeros((len(heard), self.chain.num_controls))
        with torch.inference_mode():
            for index in _same_shapes(heard):
                x, y = (torch.from_numpy(np.stack([heard[i][side] for i in index])).to(self.device) for side in (0, 1))
                controls[index] = self.model.predict(x, y, rate).double().cpu().numpy()
        return controls

    def embed(self, audio: Sequence[np.ndarray], sample_rate: float) -> np.ndarray:
        """List of (channels, samples) -> embeddings, float64 (items, dimensions)."""
        import torch

        heard = [(resample(x, sample_rate, self.model.sample_rate),) for x in audio]
        out: list[np.ndarray] = [np.empty(0)] * len(heard)
        with torch.inference_mode():
            for index in _same_shapes(heard):
                batch = torch.from_numpy(np.stack([heard[i][0] for i in index])).to(self.device)
                for i, row in zip(index, self.model.embed(batch).double().cpu().numpy(), strict=True):
                    out[i] = row
        return np.stack(out)

    def __call__(self, pairs: Sequence[Pair]) -> list[Outcome]:
        rate = pairs[0].sample_rate
        controls = self.predict([p.input for p in pairs], [p.reference for p in pairs], rate)
        if not np.isfinite(controls).all():  # a model that diverged: the items fail, the run goes on
            return [Outcome(np.full_like(p.input, np.nan)) for p in pairs]
        return [self.render(pair.input, c, rate) for pair, c in zip(pairs, controls, strict=True)]

    def render(self, audio: np.ndarray, controls: np.ndarray, sample_rate: float) -> Outcome:
        """Controls (num_controls,) -> the outcome of the exact render, or of the network where the strategy has no effects."""
        strategy = getattr(self.model, "strategy", None)
        if strategy is not None and not strategy.renders_settings:
            return Outcome(self._network(strategy, audio, controls, sample_rate))
        settings = self.chain.settings(controls)
        return Outcome(self.chain.render(audio, settings, sample_rate), settings)

    def _network(self, strategy: Any, audio: np.ndarray, controls: np.ndarray, sample_rate: float) -> np.ndarray:
        """A network hears only its own rate: there and back."""
        import torch

        rate = self.model.sample_rate
        batch = torch.from_numpy(resample(audio, sample_rate, rate))[None].to(self.device)
        with torch.inference_mode():
            out = strategy(batch, torch.from_numpy(controls)[None].to(batch), rate)[0].cpu().numpy()
        return resample(out, rate, sample_rate, out_frames=audio.shape[1])


def _same_shapes(items: Sequence[tuple[np.ndarray, ...]]) -> list[list[int]]:
    """Positions of the items, those of equal shapes together."""
    groups: dict[tuple, list[int]] = {}
    for i, arrays in enumerate(items):
        groups.setdefault(tuple(a.shape for a in arrays), []).append(i)
    return list(groups.values())
