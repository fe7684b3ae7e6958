"""Presets: chains by name. A manifest's own ``chains`` are laid over its preset, and a preset can include another.

What a chain names is checked here against the effects: parameters, values, and cutoffs that the rate cannot hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from stylefx.config.explain import validate
from stylefx.config.read import read_yaml
from stylefx.effects.base import Effect
from stylefx.effects.joint_draws import JOINT_DRAWS
from stylefx.effects.registry import make_effect
from stylefx.errors import ManifestError, UserError
from stylefx.foreign import OWN, check_effects
from stylefx.nearest import did_you_mean
from stylefx.recipes.chains import AudiomentationsStep, Chains, EffectStep, Step
from stylefx.recipes.distributions import Distribution

FOLDER = Path(__file__).parent / "preset_files"


_DEPTH = 8


_HIGHEST = 0.9  # of the Nyquist frequency: what the effects can hold


def preset_names() -> list[str]:
    return sorted(p.stem for p in FOLDER.glob("*.yaml"))


def load_preset(name: str, depth: int = 0) -> Chains:
    """A preset by name, or the YAML file at a path, with what it includes. UserError with the near miss."""
    if depth > _DEPTH:
        raise ManifestError(f"the preset {name!r} includes itself; break the circle")
    path = FOLDER / f"{name}.yaml"
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif not path.exists():
        hint = did_you_mean(name, preset_names(), "give one of these or the path of a YAML file")
        raise ManifestError(f"there is no preset {name!r}{hint} (known: {', '.join(preset_names())})")
    data, node = read_yaml(path, "a preset")
    chains = validate(Chains, data, str(path), node)
    return chains if chains.include is None else overlay(load_preset(chains.include, depth + 1), chains)


def overlay(base: Chains, top: Chains) -> Chains:
    """``top``'s parts replace those of ``base``; a target replaces styles, and styles a target."""
    given = {k: getattr(top, k) for k in Chains.model_fields if k != "include" and getattr(top, k) is not None}
    if "target" in given:
        given.setdefault("styles", None)
    elif "styles" in given:
        given["target"] = None
    return base.model_copy(update=given)


def resolve_chains(preset: str, own: Chains | None, extra: Sequence[AudiomentationsStep], sample_rate: int) -> Chains:
    """The chains that a preset, the manifest's own chains over it and its further augmentations mean, complete and checked."""
    own = own or Chains()
    chains = overlay(load_preset(own.include or preset), own)
    if chains.target is None and chains.styles is None:
        raise ManifestError("the chains have neither a target nor styles; give one of them")
    for where, steps in branches(chains):
        check_steps(where, steps, sample_rate)
    _check_extra(extra)
    labels = [s.label for s in chains.styles or ()]
    if len(set(labels)) < len(labels):
        raise ManifestError(f"two styles have the same label ({', '.join(labels)}); make them differ")
    return chains


def _check_extra(extra: Sequence[AudiomentationsStep]) -> None:
    """UserError for a further augmentation that does not exist or lacks such a parameter."""
    for entry in extra:
        from stylefx.audio.augment import complete_parameters  # the package behind it is slow to import

        try:
            complete_parameters(entry.name, dict.fromkeys(entry.parameters))
        except UserError as error:
            raise ManifestError(f"augment.extra: {error}") from error


def branches(chains: Chains) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """(name for messages and draws, steps) of every part."""
    for part in ("clean", "input", "target", "finish"):
        yield part, getattr(chains, part) or ()
    for style in chains.styles or ():
        yield f"style {style.label}", style.target


def check_engine(chains: Chains, engine: str) -> None:
    """UserError naming the first effect that the engine has no counterpart of."""
    if engine == OWN:
        return
    for where, steps in branches(chains):
        try:
            check_effects(engine, [step.effect for step in steps if isinstance(step, EffectStep)])
        except UserError as error:
            raise ManifestError(f"chains.{where}: {error}") from error


def check_steps(where: str, steps: tuple[Step, ...], sample_rate: int) -> None:
    """UserError for an unknown effect or parameter, a value that is not valid, a cutoff above 0.9 Nyquist."""
    for step in steps:
        if not isinstance(step, EffectStep):
            continue
        effect = make_effect(step.effect, **step.config)
        place = f"chains.{where}, effect {step.effect}"
        known = {p.name: p for p in effect.parameters}
        for name, distribution in step.settings.items():
            if name not in known:
                hint = did_you_mean(name, known, f"it has {', '.join(known)}")
                raise ManifestError(f"{place}: there is no parameter {name!r}{hint}")
            if known[name].unit.lower() == "hz":
                _check_cutoff(place, name, distribution, sample_rate)
            _check_values(place, effect, name, distribution)
        if step.drawn_by is not None:
            _check_joint(place, step)
        if step.mix is not None and not 0.0 <= step.mix.bounds()[0] <= step.mix.bounds()[1] <= 1.0:
            raise ManifestError(f"{place}: mix can become {step.mix.bounds()}; keep it within 0..1")


def _check_cutoff(place: str, name: str, distribution: Distribution, sample_rate: int) -> None:
    highest = _HIGHEST * sample_rate / 2
    if distribution.bounds()[1] > highest:
        raise ManifestError(
            f"{place}: {name} can become {distribution.bounds()[1]:g} Hz, but a rate of {sample_rate} Hz holds at most "
            f"{highest:g} Hz (0.9 Nyquist); lower it, add a clip, or raise segment.sample_rate"
        )


def _check_values(place: str, effect: Effect, name: str, distribution: Distribution) -> None:
    for bound in distribution.bounds():
        if not math.isfinite(bound):
            raise ManifestError(f"{place}: {name} is drawn from an unlimited normal distribution; add clip: [low, high]")
        try:
            effect.complete({name: bound})
        except UserError as error:
            raise ManifestError(f"{place}: {error}") from error


def _check_joint(place: str, step: EffectStep) -> None:
    if step.drawn_by not in JOINT_DRAWS:
        hint = did_you_mean(step.drawn_by, JOINT_DRAWS, f"known: {', '.join(sorted(JOINT_DRAWS))}")
        raise ManifestError(f"{place}: there is no joint draw {step.drawn_by!r}{hint}")
    joint = JOINT_DRAWS[step.drawn_by]
    if joint.effect != step.effect:
        raise ManifestError(f"{place}: {step.drawn_by} draws the settings of {joint.effect}; change one of the two")
