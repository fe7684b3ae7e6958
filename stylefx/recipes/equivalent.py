"""Settings that map a stored input to a stored target: what a recipe means, seen from the input."""

from __future__ import annotations

from typing import Any

from stylefx.effects.registry import make_effect

#: effects that commute with a gain, and those that do once their threshold moves with it
_LINEAR = frozenset({"parametric_eq", "graphic_eq"})


_LEVEL_SHIFTED = frozenset({"compressor", "expander"})


def equivalent_settings(recipe: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Settings of an EffectChain that map the stored input to the stored target.

    ``recipe`` holds the steps as rendered, every normalise and scale step with its "gain_db". The gains between the effects
    are moved to the end: a compressor behind a gain of G dB is the one with its threshold lowered by G, followed by G, and
    what is left at the end goes into the last make-up gain. None when the input branch has effects, or the target has one
    that a gain cannot pass.
    """
    if any(step["step"] == "effect" for step in recipe["input"]):
        return None
    ahead_db = -_gains(recipe["input"])  # level of the target's signal over that in the chain without gains
    chain: list[dict[str, Any]] = []
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


def _neutral(name: str) -> dict[str, Any]:
    return {"effect": name, "config": {}, "settings": make_effect(name).complete({})}


def _gains(steps: list[dict[str, Any]]) -> float:
    return float(sum(step.get("gain_db", 0.0) for step in steps if step["step"] in ("normalise", "scale")))
