"""(manifest, planned sample) -> recipe: everything random about a sample, drawn once, keyed, and written down.

Purposes of the draws are ``branch step-id quantity``: a new effect, a new parameter or another order shifts no other draw.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any

from pipelines.manifest import Manifest
from pipelines.manifest_chains import EffectStep, FadeStep, NormaliseStep, ScaleStep, Step
from pipelines.plan import PlannedSample
from stylefx.effects.base import Effect
from stylefx.effects.joint_draws import JOINT_DRAWS
from stylefx.effects.registry import make_effect
from stylefx.keyed import Draw, integer

#: effects that commute with a gain, and those that do once their threshold moves with it
_LINEAR = frozenset({"parametric_eq", "graphic_eq"})
_LEVEL_SHIFTED = frozenset({"compressor", "expander"})


def draw_recipe(manifest: Manifest, sample: PlannedSample) -> dict:
    """{"augmentation": {"pitch_cents", "tempo", "engine", "extra": [{"name", "parameters", "seed"}]},
    "clean": [steps], "input": [steps], "target": [steps], "label": str, "equivalent": bool}.

    Pure: a function of the manifest's seed and chains and of the sample's key, split and plan draws.
    """
    chains = manifest.resolved_chains
    label, target, name = sample.label, chains.target or (), "target"
    if chains.styles is not None:
        weights = [s.weight for s in chains.styles]
        style = Draw(manifest.seed, "style", sample.key).choice(chains.styles, weights)
        label, target, name = style.label, style.target, f"style {style.label}"
    finish = chains.finish or ()
    return {
        "augmentation": {
            "pitch_cents": sample.pitch_cents,
            "tempo": sample.tempo,
            "engine": manifest.augment.engine,
            "extra": _extra(manifest, sample),
        },
        "clean": _steps(manifest, sample.key, "clean", chains.clean or ()),
        "input": _steps(manifest, sample.key, "input", (*(chains.input or ()), *finish)),
        "target": _steps(manifest, sample.key, name, (*target, *finish)),
        "label": label,
        "equivalent": bool(chains.equivalent),
    }


def _steps(manifest: Manifest, key: str, branch: str, steps: tuple[Step, ...]) -> list[dict]:
    out: list[dict] = []
    seen: Counter = Counter()
    for step in steps:
        if isinstance(step, EffectStep):
            name = step.id or step.effect
            seen[name] += 1
            purpose = f"{branch} {name}" if seen[name] == 1 else f"{branch} {name}-{seen[name]}"
            if Draw(manifest.seed, f"{purpose} applied", key).chance(step.probability):
                out.append(_effect(manifest, key, purpose, step))
        elif isinstance(step, NormaliseStep):
            level = _level(manifest, step)
            if level:
                out.append({"step": "normalise", **level})
        elif isinstance(step, FadeStep):
            out.append({"step": "fade", "ms": step.ms})
        elif isinstance(step, ScaleStep):
            seen["scale"] += 1
            gain_db = step.gain_db.draw(Draw(manifest.seed, f"{branch} scale-{seen['scale']}", key))
            if gain_db is not None:
                out.append({"step": "scale", "gain_db": gain_db})
    return out


def _effect(manifest: Manifest, key: str, purpose: str, step: EffectStep) -> dict:
    """An effect's step with complete settings: the joint draw, then what is declared one by one."""

    def quantity(name: str) -> Draw:
        return Draw(manifest.seed, f"{purpose} {name}", key)

    settings: dict[str, float] = {}
    if step.drawn_by is not None:
        settings.update(JOINT_DRAWS[step.drawn_by].draw(quantity, manifest.segment.sample_rate))
    for name, distribution in step.settings.items():
        value = distribution.draw(quantity(name))
        if value is not None:
            settings[name] = value
    effect = _made(step.effect, json.dumps(step.config, sort_keys=True))
    out = {"step": "effect", "effect": step.effect, "config": dict(step.config), "settings": effect.complete(settings)}
    mix = None if step.mix is None else step.mix.draw(quantity("mix"))
    return out if mix is None else out | {"mix": mix}


@functools.lru_cache(maxsize=256)
def _made(name: str, config: str) -> Effect:
    return make_effect(name, **json.loads(config))


def _level(manifest: Manifest, step: NormaliseStep) -> dict[str, float]:
    """The step's own level, else the manifest's; empty for none."""
    own = {k: v for k, v in (("peak_dbfs", step.peak_dbfs), ("lufs", step.lufs)) if v is not None}
    if own or manifest.level == "none":
        return own
    return {k: v for k, v in manifest.level.model_dump().items() if v is not None}


def _extra(manifest: Manifest, sample: PlannedSample) -> list[dict[str, Any]]:
    """Further augmentations: names, drawn parameters and a seed of their own."""
    out: list[dict[str, Any]] = []
    if sample.split not in manifest.augment.splits:
        return out
    for i, entry in enumerate(manifest.augment.extra):
        purpose = f"augment {i} {entry.name}"
        if not Draw(manifest.seed, f"{purpose} applied", sample.key).chance(entry.probability):
            continue
        parameters: dict[str, Any] = {}
        for name, value in entry.parameters.items():
            drawn = value if isinstance(value, (str, bool)) else value.draw(Draw(manifest.seed, f"{purpose} {name}", sample.key))
            if drawn is not None:
                parameters[name] = drawn
        seed = integer(manifest.seed, f"{purpose} seed", sample.key) >> 32
        out.append({"name": entry.name, "parameters": parameters, "seed": seed})
    return out


def equivalent_settings(recipe: dict) -> list[dict] | None:
    """Settings of an EffectChain that map the stored input to the stored target.

    ``recipe`` holds the steps as rendered, every normalise and scale step with its "gain_db". The gains between the effects
    are moved to the end: a compressor behind a gain of G dB is the one with its threshold lowered by G, followed by G, and
    what is left at the end goes into the last make-up gain. None when the input branch has effects, or the target has one
    that a gain cannot pass.
    """
    if any(step["step"] == "effect" for step in recipe["input"]):
        return None
    ahead_db = -_gains(recipe["input"])  # level of the target's signal over that in the chain without gains
    chain: list[dict] = []
    for step in recipe["target"]:
        if step["step"] != "effect":
            ahead_db += _gains([step])
            continue
        settings = dict(step["settings"])
        if step["effect"] in _LEVEL_SHIFTED:
            settings["threshold_db"] -= ahead_db
        elif step["effect"] not in _LINEAR:
            return None
        if step.get("mix", 1.0) != 1.0:
            return None
        chain.append({"effect": step["effect"], "config": dict(step.get("config", {})), "settings": settings})
    if not any(entry["effect"] == "parametric_eq" for entry in chain):
        chain.insert(0, _neutral("parametric_eq"))
    if chain[-1]["effect"] not in _LEVEL_SHIFTED:
        chain.append(_neutral("compressor"))
    chain[-1]["settings"]["makeup_gain_db"] += ahead_db
    return chain


def _neutral(name: str) -> dict:
    return {"effect": name, "config": {}, "settings": make_effect(name).complete({})}


def _gains(steps: list[dict]) -> float:
    return sum(step.get("gain_db", 0.0) for step in steps if step["step"] in ("normalise", "scale"))
