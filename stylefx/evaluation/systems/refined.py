"""The model's settings after gradient steps, as ``transfer --refine`` makes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylefx.evaluation.systems.base import ModelSystem


class RefinedModel(ModelSystem):
    """A model's system, each prediction improved by ``steps`` steps ``towards`` "belief", "references", "between" or None (as the
    intent asks). Items are as long as the model hears, so each is one window."""

    def __init__(self, plain: ModelSystem, steps: int, towards: str | None = None):
        super().__init__(plain.model, plain.device, plain.intent, plain.relevel)
        self.steps, self.towards = steps, towards
        self.name, self.title = f"{plain.name}-refined", f"{plain.title}, refined"

    def predict(
        self, inputs: Sequence[np.ndarray], references: Sequence[np.ndarray], sample_rate: float, native: bool = False
    ) -> np.ndarray:
        """Items one after the other: none must depend on its neighbours. Steps are made at the model's rate."""
        controls = super().predict(inputs, references, sample_rate, native)
        if not np.isfinite(controls).all():  # a model that diverged has no settings to go on from
            return controls
        sides = zip(controls, inputs, references, strict=True)
        return np.stack([self._refined(start, x, y, sample_rate) for start, x, y in sides])

    def _refined(self, start: np.ndarray, x: np.ndarray, y: np.ndarray, sample_rate: float) -> np.ndarray:
        import torch

        from stylefx.models.refining.steps import Sides, refined

        source, reference = (torch.from_numpy(self._heard(side, sample_rate, self.model.sample_rate))[None] for side in (x, y))

        def embeddings() -> tuple[torch.Tensor, torch.Tensor]:
            with torch.no_grad():
                return self.model.embed(source.to(self.device))[0], self.model.embed(reference.to(self.device))[0]

        sides = Sides(lambda: source, lambda distance: distance.features(reference, torch.ones(1)), embeddings)
        return refined(self.model, start, sides, self.steps, self.intent, self.towards).controls
