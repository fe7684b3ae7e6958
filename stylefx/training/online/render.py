"""Training examples from dry halves: settings drawn anew in every epoch, rendered in float by the same effects as a corpus.

It runs in the loader's threads: the compiled effects release the interpreter's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stylefx.corpus.batch import Marks
from stylefx.recipes.chains import Chains
from stylefx.recipes.draw import Drawing
from stylefx.recipes.steps import apply_together

if TYPE_CHECKING:
    import numpy as np


class OnlineRenderer:
    """Dry stretches -> input, target and reference, float32 (channels, samples) each, as a corpus of these chains would hold
    them. Draws are keyed by (seed, epoch, sample key).

    ``raw``: the stretches are plain recordings, which still need the chain's ``clean`` steps; dry halves of a corpus have
    been through them and get their levels only, since a half may be quieter than the clip that was levelled.
    """

    def __init__(self, chains: Chains, drawing: Drawing, raw: bool = False):
        self.chains, self.drawing, self.raw = chains, drawing, raw

    def recipe(self, key: str, epoch: int, label: str = "") -> dict[str, Any]:
        """What is drawn for a sample in an epoch; see ``Drawing.recipe``."""
        return self.drawing.recipe(self.chains, f"{epoch}/{key}", label)

    def __call__(
        self, key: str, epoch: int, dry: np.ndarray, dry_reference: np.ndarray, other: bool, label: str = ""
    ) -> tuple[dict[str, np.ndarray], Marks]:
        """``other``: the reference is other content, and passes the target's branch on its own. Halves of one recording keep
        their levels beside one another."""
        recipe = self.recipe(key, epoch, label)
        clean = [step for step in recipe["clean"] if self.raw or step["step"] == "normalise"]
        target_steps = [*clean, *recipe["target"]]
        if other:
            target, reference = self._branch([dry], target_steps)[0], self._branch([dry_reference], target_steps)[0]
        else:
            target, reference = self._branch([dry, dry_reference], target_steps)
        nothing = bool(recipe.get("nothing_to_do"))
        source = target.copy() if nothing else self._branch([dry], [*clean, *recipe["input"]])[0]
        return {"input": source, "target": target, "reference": reference}, Marks(recipe["label"], other, nothing)

    def _branch(self, signals: list[np.ndarray], steps: list[dict[str, Any]]) -> list[np.ndarray]:
        return apply_together(signals, steps, self.drawing.sample_rate, silence="kept")[0]
