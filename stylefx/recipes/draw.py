"""Chains -> the steps of one sample: everything random about it, drawn once, keyed, and written down.

Purposes of the draws are ``branch step-id quantity``: a new effect, a new parameter or another order shifts no other draw.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stylefx.effects.base import Effect
from stylefx.effects.joint_draws import JOINT_DRAWS
from stylefx.effects.registry import make_effect
from stylefx.foreign import OWN
from stylefx.keyed import Draw
from stylefx.recipes.chains import Chains, EffectStep, FadeStep, Level, NormaliseStep, NothingToDo, Rendering, ScaleStep, Step


@dataclass(frozen=True)
class Drawing:
    """What all draws of a corpus or a training run share. ``level`` is where ``normalise`` steps without one of their own go."""

    seed: int
    sample_rate: int
    level: Level | Literal["none"]
    nothing_to_do: NothingToDo = field(default_factory=NothingToDo)
    meter: str = "bs1770"
    render: Rendering = field(default_factory=Rendering)

    def recipe(self, chains: Chains, key: str, label: str = "") -> dict[str, Any]:
        """{"clean": [steps], "input": [steps], "target": [steps], "label": str, "equivalent": bool}, and where a
        share has nothing to do "nothing_to_do": "same" (both branches have equal settings), "neutral" (no effects) or "".

        Pure: a function of the seed, the chains and the key. A style's label replaces ``label``.
        """
        target, name = chains.target or (), "target"
        if chains.styles is not None:
            style = Draw(self.seed, "style", key).choice(chains.styles, [s.weight for s in chains.styles])
            label, target, name = style.label, style.target, f"style {style.label}"
        finish = chains.finish or ()
        out: dict[str, Any] = {
            "clean": self.steps(key, "clean", chains.clean or ()),
            "input": self.steps(key, "input", (*(chains.input or ()), *finish)),
            "target": self.steps(key, name, (*target, *finish)),
            "label": label,
            "equivalent": bool(chains.equivalent) and self.render.engine == OWN,
        }
        return out if not self.nothing_to_do.share else self._alike(out, key)

    def _alike(self, recipe: dict[str, Any], key: str) -> dict[str, Any]:
        """Now and then both branches are made the same."""
        draw = Draw(self.seed, "nothing to do", key)
        if not draw.chance(self.nothing_to_do.share):
            return recipe | {"nothing_to_do": ""}
        neutral = draw.chance(self.nothing_to_do.neutral)
        same = [s for s in recipe["target"] if not (neutral and s["step"] == "effect")]
        return recipe | {"input": same, "target": list(same), "nothing_to_do": "neutral" if neutral else "same"}

    def steps(self, key: str, branch: str, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """The steps of one branch with every number drawn; an effect that its probability leaves out is not among them."""
        out: list[dict[str, Any]] = []
        seen: Counter[str] = Counter()
        for step in steps:
            if isinstance(step, EffectStep):
                name = step.id or step.effect
                seen[name] += 1
                purpose = f"{branch} {name}" if seen[name] == 1 else f"{branch} {name}-{seen[name]}"
                coin = f"{purpose} applied" if step.coin is None else f"{branch} coin {step.coin}"
                if step.probability == 1.0 or Draw(self.seed, coin, key).chance(step.probability):
                    out.append(self._effect(key, purpose, step))
            elif isinstance(step, NormaliseStep):
                level = self._level(step)
                if level:
                    out.append({"step": "normalise", **level})
            elif isinstance(step, FadeStep):
                out.append({"step": "fade", "ms": step.ms})
            elif isinstance(step, ScaleStep):
                seen["scale"] += 1
                gain_db = step.gain_db.draw(Draw(self.seed, f"{branch} scale-{seen['scale']}", key))
                if gain_db is not None:
                    out.append({"step": "scale", "gain_db": gain_db})
        return out

    def _effect(self, key: str, purpose: str, step: EffectStep) -> dict[str, Any]:
        """An effect's step with complete settings: the joint draw, then what is declared one by one."""

        def quantity(name: str) -> Draw:
            return Draw(self.seed, f"{purpose} {name}", key)

        settings: dict[str, float] = {}
        if step.drawn_by is not None:
            settings.update(JOINT_DRAWS[step.drawn_by].draw(quantity, self.sample_rate))
        for name, distribution in step.settings.items():
            value = distribution.draw(quantity(name))
            if value is not None:
                settings[name] = value
        effect = _made(step.effect, json.dumps(step.config, sort_keys=True))
        out = {"step": "effect", "effect": step.effect, "config": dict(step.config), "settings": effect.complete(settings)}
        out |= self.render.to_step()
        mix = None if step.mix is None else step.mix.draw(quantity("mix"))
        return out if mix is None else out | {"mix": mix}

    def _level(self, step: NormaliseStep) -> dict[str, float | str]:
        """The step's own level, else the convention's; empty for none. A loudness names a meter that is not the standard's."""
        level: dict[str, float | str] = {k: v for k, v in (("peak_dbfs", step.peak_dbfs), ("lufs", step.lufs)) if v is not None}
        if not level and self.level != "none":
            level.update(self.level.to_step())
        return level | {"meter": self.meter} if "lufs" in level and self.meter != "bs1770" else level


@functools.lru_cache(maxsize=256)
def _made(name: str, config: str) -> Effect:
    return make_effect(name, **json.loads(config))
