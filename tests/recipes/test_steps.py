"""Steps write into what steps made, never into what they were given, and give the bits of one plain step after another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.recipes.steps import Filtered, apply_steps, apply_together, apply_two

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


def two_branches(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[list[dict], list[dict]]]:
    rng = np.random.default_rng(seed)
    signals = tuple((0.3 * rng.standard_normal((1, 9000))).astype(np.float32) for _ in range(2))
    branches: tuple[list[dict], list[dict]] = [], []
    for branch in branches:
        for name in ("parametric_eq", "compressor", "saturation"):
            if rng.random() < 0.8:
                drawn = {p.name: p.from_control(rng.uniform(0.2, 0.8)) for p in make_effect(name).parameters}
                extra = [{}, {}, {"mix": 0.4}, {"bypass": True}][rng.integers(4)]
                branch.append({"step": "effect", "effect": name, "settings": drawn, **extra})
            if rng.random() < 0.5:
                branch.append({"step": "normalise", "peak_dbfs": -12.0})
            if rng.random() < 0.3:
                branch.append({"step": "fade", "ms": 3.0})
    return signals, branches


@pytest.mark.parametrize("seed", range(12))
def test_two_branches_side_by_side_are_what_each_is_alone(seed):
    signals, branches = two_branches(seed)
    held = [signal.copy() for signal in signals]
    alone = [apply_steps(signal, steps, 24000) for signal, steps in zip(signals, branches, strict=True)]
    for (audio, done), (wanted, written) in zip(apply_two(signals, branches, 24000), alone, strict=True):
        assert audio.tobytes() == wanted.tobytes()
        assert done == written
    for signal, before in zip(signals, held, strict=True):
        np.testing.assert_array_equal(signal, before)


def test_of_two_branches_the_first_is_the_one_that_is_blamed():
    """Also where the second fails at an earlier step."""
    noise, silent = np.full((1, 4000), 0.1, np.float32), np.zeros((1, 4000), np.float32)
    wrong = [{"step": "fade", "ms": 1.0}, {"step": "effect", "effect": "compressor", "settings": {"ratoi": 2.0}}]
    with pytest.raises(UserError, match="ratoi"):
        apply_two((noise, silent), (wrong, [{"step": "normalise", "peak_dbfs": -12.0}]), 24000)
    with pytest.raises(Filtered, match="silent"):
        apply_two((noise, silent), ([], [{"step": "normalise", "peak_dbfs": -12.0}]), 24000)
