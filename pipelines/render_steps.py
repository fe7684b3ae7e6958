"""The steps of a branch, applied one after another. Every gain that depends on the audio is written into its step."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence

import numpy as np

from stylefx.audio.loudness import integrated_lufs, peak_dbfs
from stylefx.audio.quantise import protective_gain
from stylefx.effects.base import Effect
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError

SILENT_DBFS = -90.0


class Filtered(Exception):
    """The sample is left out on purpose; the text is the reason."""


@functools.lru_cache(maxsize=256)
def _effect(name: str, config: str) -> Effect:
    return make_effect(name, **json.loads(config))


def apply_steps(audio: np.ndarray, steps: Sequence[dict], sample_rate: int) -> tuple[np.ndarray, list[dict]]:
    """float32 (channels, samples) -> the same shape, and the steps with the gains that were applied ("gain_db")."""
    done = []
    for step in steps:
        audio, written = _STEPS[_kind(step)](audio, step, sample_rate)
        done.append(written)
    return audio, done


def _kind(step: dict) -> str:
    kind = step.get("step", "")
    if kind not in _STEPS:
        raise UserError(f"there is no step {kind!r}; a step is one of {', '.join(_STEPS)}")
    return kind


def _apply_effect(audio: np.ndarray, step: dict, sample_rate: int) -> tuple[np.ndarray, dict]:
    if step.get("bypass") or step.get("mix") == 0.0:
        return audio, step
    effect = _effect(step["effect"], json.dumps(step.get("config") or {}, sort_keys=True))
    wet = effect.render(audio, step["settings"], sample_rate)
    mix = step.get("mix", 1.0)
    if mix != 1.0:
        wet = np.float32(1.0 - mix) * audio + np.float32(mix) * wet
    if not np.isfinite(wet).all():
        raise ArithmeticError(f"effect {step['effect']} made NaN or infinite samples with {step['settings']}")
    return wet, step


def _normalise(audio: np.ndarray, step: dict, sample_rate: int) -> tuple[np.ndarray, dict]:
    peak = peak_dbfs(audio)
    if peak < SILENT_DBFS:
        raise Filtered("silent")
    if step.get("lufs") is not None:
        loudness = integrated_lufs(audio, sample_rate)
        if not math.isfinite(loudness):
            raise Filtered("too quiet to have a loudness")
        gain_db = step["lufs"] - loudness
    elif step.get("peak_dbfs") is not None:
        gain_db = step["peak_dbfs"] - peak
    else:
        return audio, step
    return audio * np.float32(10.0 ** (gain_db / 20.0)), {**step, "gain_db": gain_db}


def _fade(audio: np.ndarray, step: dict, sample_rate: int) -> tuple[np.ndarray, dict]:
    """Raised-cosine fades in and out, of ``ms`` milliseconds each."""
    frames = min(round(step["ms"] * 1e-3 * sample_rate), audio.shape[1] // 2)
    if frames == 0:
        return audio, step
    ramp = _ramp(frames)
    audio = audio.copy()
    audio[:, :frames] *= ramp
    audio[:, -frames:] *= ramp[::-1]
    return audio, step


@functools.lru_cache(maxsize=8)
def _ramp(frames: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / frames)).astype(np.float32)


def _scale(audio: np.ndarray, step: dict, sample_rate: int) -> tuple[np.ndarray, dict]:
    return audio * np.float32(10.0 ** (step["gain_db"] / 20.0)), step


_STEPS = {"effect": _apply_effect, "normalise": _normalise, "fade": _fade, "scale": _scale}


def protect(audio: np.ndarray, steps: list[dict], bits: int) -> tuple[np.ndarray, list[dict]]:
    """Scale audio that a fixed-point format of ``bits`` could not hold; the gain becomes a last step. 0 bits: float."""
    gain = protective_gain(float(audio.min(initial=0.0)), float(audio.max(initial=0.0)), bits)
    if gain == 1.0:
        return audio, steps
    gain_db = 20.0 * math.log10(gain) - 1e-4  # below the limit also after the rounding of the product
    return audio * np.float32(10.0 ** (gain_db / 20.0)), [*steps, {"step": "scale", "gain_db": gain_db}]
