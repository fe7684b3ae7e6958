"""The steps of a branch, applied one after another. Every gain that depends on the audio is written into its step."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from stylefx import foreign
from stylefx.audio.loudness import integrated_lufs, peak_dbfs
from stylefx.audio.quantise import protective_gain
from stylefx.effects.base import Effect
from stylefx.effects.registry import make_effect
from stylefx.effects.side_by_side import render_two
from stylefx.errors import UserError

SILENT_DBFS = -90.0


class Filtered(Exception):
    """The sample is left out on purpose; the text is the reason."""


@functools.lru_cache(maxsize=256)
def _effect(name: str, config: str) -> Effect:
    return make_effect(name, **json.loads(config))


def _effect_of(step: dict[str, Any]) -> Effect:
    return _effect(step["effect"], json.dumps(step.get("config") or {}, sort_keys=True))


def apply_steps(audio: np.ndarray, steps: Sequence[dict[str, Any]], sample_rate: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """float32 (channels, samples) -> the same shape, and the steps with the gains that were applied ("gain_db")."""
    [out], done = apply_together([audio], steps, sample_rate)
    return out, done


def apply_together(
    signals: Sequence[np.ndarray],
    steps: Sequence[dict[str, Any]],
    sample_rate: int,
    silence: Literal["filtered", "kept"] = "filtered",
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """Stretches of one recording, each rendered from silence and faded by itself, while levels are measured over all of them,
    so that they stay as loud beside one another as they were. ``silence``: what has no level raises Filtered, or is kept.
    """
    done, out = [], list(signals)
    for step in steps:
        out, written = _apply_step(out, signals, step, sample_rate, silence)
        done.append(written)
    return out, done


def _apply_step(
    audio: list[np.ndarray], given: Sequence[np.ndarray], step: dict[str, Any], sample_rate: int, silence: str
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """One step of stretches of one recording, and the step as it is written down; ``given``: what no step may write into."""
    if _kind(step) == "normalise":
        step = _levelled(audio, step, sample_rate, silence)
        if "gain_db" not in step:
            return audio, step
        change = _scale
    else:
        change = _STEPS[step["step"]]
    return [change(a, step, sample_rate, _is_ours(a, g)) for a, g in zip(audio, given, strict=True)], step


def apply_two(
    signals: tuple[np.ndarray, np.ndarray], branches: tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]], sample_rate: int
) -> list[tuple[np.ndarray, list[dict[str, Any]]]]:
    """``apply_steps`` of two signals with steps of their own. Effects at the same place of both go side by side: the same bits,
    and what is raised is what the first of them raises where one comes after the other."""
    try:
        return _side_by_side(signals, branches, sample_rate)
    except (Filtered, ArithmeticError, UserError):
        return [apply_steps(audio, steps, sample_rate) for audio, steps in zip(signals, branches, strict=True)]


def _side_by_side(
    signals: tuple[np.ndarray, np.ndarray], branches: tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]], sample_rate: int
) -> list[tuple[np.ndarray, list[dict[str, Any]]]]:
    out = list(signals)
    done: tuple[list[dict[str, Any]], list[dict[str, Any]]] = [], []
    for steps in itertools.zip_longest(*branches):
        if all(step is not None and _is_whole_effect(step) for step in steps):
            one, other = steps
            effects, settings = (_effect_of(one), _effect_of(other)), (one["settings"], other["settings"])
            wet = render_two(effects, (out[0], out[1]), settings, sample_rate)
            out = [_checked(audio, step) for audio, step in zip(wet, steps, strict=True)]
            done[0].append(one)
            done[1].append(other)
            continue
        for k, step in enumerate(steps):
            if step is not None:
                [out[k]], written = _apply_step([out[k]], [signals[k]], step, sample_rate, "filtered")
                done[k].append(written)
    return list(zip(out, done, strict=True))


def _is_whole_effect(step: dict[str, Any]) -> bool:
    """Whether it is one of ours, and all of the signal goes through it."""
    return _kind(step) == "effect" and not step.get("bypass") and "engine" not in step and step.get("mix", 1.0) == 1.0


def _is_ours(audio: np.ndarray, given: np.ndarray) -> bool:
    """Whether a step made this audio, so that the next one may write into it."""
    return audio.flags.writeable and not np.may_share_memory(audio, given)


def replay(audio: np.ndarray, steps: Sequence[dict[str, Any]], sample_rate: int) -> np.ndarray:
    """Steps as they were rendered, with the gains that were written down then instead of levels measured anew."""
    written = [{"step": "scale", "gain_db": s["gain_db"]} if s["step"] == "normalise" and "gain_db" in s else s for s in steps]
    return apply_steps(audio, written, sample_rate)[0]


def _kind(step: dict[str, Any]) -> str:
    kind: str = step.get("step", "")
    if kind not in _STEPS and kind != "normalise":
        raise UserError(f"there is no step {kind!r}; a step is one of normalise, {', '.join(_STEPS)}")
    return kind


def _apply_effect(audio: np.ndarray, step: dict[str, Any], sample_rate: int, ours: bool) -> np.ndarray:
    if step.get("bypass") or step.get("mix") == 0.0:
        return audio
    if "engine" in step:
        return _checked(foreign.render(step["engine"], audio, [step], sample_rate, step.get("headroom", True)), step)
    wet = _effect_of(step).render(audio, step["settings"], sample_rate)
    mix = step.get("mix", 1.0)
    if mix != 1.0:
        wet = np.float32(1.0 - mix) * audio + np.float32(mix) * wet
    return _checked(wet, step)


def _checked(wet: np.ndarray, step: dict[str, Any]) -> np.ndarray:
    if not np.isfinite(wet).all():
        raise ArithmeticError(f"effect {step['effect']} made NaN or infinite samples with {step['settings']}")
    return wet


def _levelled(signals: Sequence[np.ndarray], step: dict[str, Any], sample_rate: int, silence: str) -> dict[str, Any]:
    """The step with the gain that brings the signals together to its level; without one where there is nothing to measure."""
    peak = max(peak_dbfs(audio) for audio in signals)
    if peak < SILENT_DBFS:
        return _no_level(step, "silent", silence)
    if step.get("lufs") is not None:
        together = signals[0] if len(signals) == 1 else np.concatenate(signals, axis=1)
        loudness = integrated_lufs(together, sample_rate, step.get("meter", "bs1770"))
        if not math.isfinite(loudness):
            return _no_level(step, "too quiet to have a loudness", silence)
        return {**step, "gain_db": step["lufs"] - loudness}
    if step.get("peak_dbfs") is not None:
        return {**step, "gain_db": step["peak_dbfs"] - peak}
    return step


def _no_level(step: dict[str, Any], reason: str, silence: str) -> dict[str, Any]:
    if silence == "filtered":
        raise Filtered(reason)
    return step


def _fade(audio: np.ndarray, step: dict[str, Any], sample_rate: int, ours: bool) -> np.ndarray:
    """Raised-cosine fades in and out, of ``ms`` milliseconds each."""
    frames = min(round(step["ms"] * 1e-3 * sample_rate), audio.shape[1] // 2)
    if frames == 0:
        return audio
    ramp = _ramp(frames)
    audio = audio if ours else audio.copy()
    audio[:, :frames] *= ramp
    audio[:, -frames:] *= ramp[::-1]
    return audio


@functools.lru_cache(maxsize=8)
def _ramp(frames: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / frames)).astype(np.float32)


def _scale(audio: np.ndarray, step: dict[str, Any], sample_rate: int, ours: bool) -> np.ndarray:
    gain = np.float32(10.0 ** (step["gain_db"] / 20.0))
    if not ours:
        return audio * gain
    audio *= gain
    return audio


_STEPS = {"effect": _apply_effect, "fade": _fade, "scale": _scale}


def protect(audio: np.ndarray, steps: list[dict[str, Any]], bits: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Scale audio that a fixed-point format of ``bits`` could not hold; the gain becomes a last step. 0 bits: float."""
    gain = protective_gain(float(audio.min(initial=0.0)), float(audio.max(initial=0.0)), bits)
    if gain == 1.0:
        return audio, steps
    gain_db = 20.0 * math.log10(gain) - 1e-4  # below the limit also after the rounding of the product
    return audio * np.float32(10.0 ** (gain_db / 20.0)), [*steps, {"step": "scale", "gain_db": gain_db}]
