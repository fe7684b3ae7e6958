"""Steps write into what steps made, never into what they were given, and give the bits of one plain step after another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stylefx.effects.registry import make_effect
from stylefx.recipes.steps import apply_steps, apply_together

RATE = 24000
EQ = {"step": "effect", "effect": "parametric_eq", "config": {}, "settings": {"band1_gain_db": 6.0}}
KINDS = {
    "effect": EQ,
    "bypass": EQ | {"bypass": True},
    "mixed": EQ | {"mix": 0.25},
    "fade": {"step": "fade", "ms": 20.0},
    "scale": {"step": "scale", "gain_db": -3.0},
    "normalise": {"step": "normalise", "peak_dbfs": -12.0},
    "no level": {"step": "normalise"},
}


def noise(seed: int = 0, channels: int = 2) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, 6000))).astype(np.float32)


def plainly(audio: np.ndarray, kind: str) -> np.ndarray:
    """One step with a result of its own."""
    if kind in ("effect", "mixed"):
        wet = make_effect("parametric_eq").render(audio, EQ["settings"], RATE)
        return wet if kind == "effect" else np.float32(0.75) * audio + np.float32(0.25) * wet
    if kind == "fade":
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(480) + 0.5) / 480)).astype(np.float32)
        return np.concatenate([audio[:, :480] * ramp, audio[:, 480:-480], audio[:, -480:] * ramp[::-1]], axis=1)
    if kind == "scale":
        return audio * np.float32(10.0 ** (-3.0 / 20.0))
    if kind == "normalise":
        peak_db = 20.0 * np.log10(float(np.abs(audio).max()))
        return audio * np.float32(10.0 ** ((-12.0 - peak_db) / 20.0))
    return audio


@pytest.mark.parametrize("kinds", itertools.product(KINDS, repeat=3), ids="-".join)
def test_three_steps_in_any_order_are_three_plain_steps_and_leave_the_input_alone(kinds):
    audio = noise()
    before = audio.copy()
    out, done = apply_steps(audio, [KINDS[kind] for kind in kinds], RATE)
    assert np.array_equal(audio, before)
    for kind in kinds:
        before = plainly(before, kind)
    assert np.allclose(out, before, rtol=1e-6, atol=0.0) if "normalise" in kinds else np.array_equal(out, before)
    assert [step["step"] for step in done] == [KINDS[kind]["step"] for kind in kinds]


def test_signals_that_are_one_array_stay_apart():
    audio = noise()
    steps = [KINDS["effect"], KINDS["fade"], KINDS["scale"]]
    [first, second], _ = apply_together([audio, audio], steps, RATE)
    assert not np.may_share_memory(first, second)
    assert np.array_equal(first, second)
    assert np.array_equal(audio, noise())
