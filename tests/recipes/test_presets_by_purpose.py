"""Presets by purpose draw what their pages say, at any rate, and the same for ever."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats

from stylefx.keyed import hex_digest
from stylefx.recipes.chains import Level
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import preset_names, resolve_chains
from stylefx.recipes.steps import apply_steps
from tests.support.signals import speech_like

KEYS = [f"k{i}" for i in range(1200)]

#: digest of the recipes of 200 keys at 24 kHz, seed 0: a change here makes other corpora of the same manifests
RECIPES = {
    "deepafx-st": "ebdc294a54d25a5bb7400536947cf876",
    "paper-sox": "a1f5d21d890bf9289885b724ab3d11d5",
    "mastering": "5147acdc38b4be2a9cd857e5602458e9",
    "production": "a8a79d2323c667cda87026a102d01c53",
    "recovery": "442256e9e0ed6edd6153187e1cb723f4",
    "styles": "3dacc0275887ce25d6c1d78bb32ca400",
}


def recipes(preset: str, rate: int = 44100, count: int = len(KEYS)) -> list[dict]:
    chains = resolve_chains(preset, None, (), rate)
    return [Drawing(0, rate, Level(peak_dbfs=-12.0)).recipe(chains, key) for key in KEYS[:count]]


@pytest.fixture(scope="module")
def production() -> list[dict]:
    return recipes("production")


def settings(found: list[dict], branch: str, effect: str) -> list[dict]:
    return [s["settings"] for r in found for s in r[branch] if s.get("effect") == effect]


def column(found: list[dict], name: str) -> np.ndarray:
    return np.array([s[name] for s in found])


def test_half_of_the_inputs_are_untouched_and_the_others_mildly_processed(production):
    effects = [[s["effect"] for s in r["input"] if s["step"] == "effect"] for r in production]
    assert all(e in ([], ["parametric_eq", "compressor"]) for e in effects)  # one coin for both
    assert scipy.stats.binomtest(sum(not e for e in effects), len(effects), 0.5).pvalue > 1e-4
    for name in ("low_shelf_gain_db", "high_shelf_gain_db", "band3_gain_db", "band4_gain_db"):
        mild, full = (column(settings(production, b, "parametric_eq"), name) for b in ("input", "target"))
        assert np.abs(mild).max() < 2.5 < np.abs(full).max()
    assert column(settings(production, "input", "compressor"), "ratio").max() < 2.5


def test_targets_stay_within_what_people_do(production):
    eq, compressor = (settings(production, "target", e) for e in ("parametric_eq", "compressor"))
    for name in ("low_shelf_gain_db", "high_shelf_gain_db"):
        assert 4.0 < np.abs(column(eq, name)).max() <= 6.0
    assert column(eq, "band1_gain_db").max() <= 0.0
    assert column(eq, "band2_gain_db").max() <= 0.0
    ratio = column(compressor, "ratio")
    assert 1.5 <= ratio.min() < 1.6
    assert 3.8 < ratio.max() <= 4.0
    for name, low, high in (("attack_ms", 1.0, 60.0), ("release_ms", 40.0, 600.0)):
        assert low <= column(compressor, name).min() < column(compressor, name).max() <= high


def test_what_belongs_together_is_drawn_together(production):
    eq, compressor = (settings(production, "target", e) for e in ("parametric_eq", "compressor"))
    assert scipy.stats.spearmanr(column(eq, "low_shelf_gain_db"), column(eq, "high_shelf_gain_db")).statistic < -0.7
    assert scipy.stats.spearmanr(column(compressor, "threshold_db"), column(compressor, "ratio")).statistic < -0.7
    assert scipy.stats.spearmanr(column(compressor, "attack_ms"), column(compressor, "release_ms")).statistic > 0.7


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_cutoffs_stay_within_the_rate_and_reach_the_top_where_it_has_one(rate):
    eq = settings(recipes("production", rate), "target", "parametric_eq")
    cutoffs = [v for s in eq for n, v in s.items() if n.endswith("cutoff_hz") and s[n.replace("cutoff_hz", "gain_db")] != 0.0]
    assert max(cutoffs) <= 0.45 * rate
    assert rate < 48000 or max(cutoffs) > 15000


def test_mastering_adds_saturation_width_and_a_limiter():
    found = recipes("mastering")
    for effect, probability in (("saturation", 0.4), ("stereo_width", 0.5), ("limiter", 0.8)):
        count = len(settings(found, "target", effect))
        assert scipy.stats.binomtest(count, len(found), probability).pvalue > 1e-4, effect


@pytest.mark.parametrize("preset", ["production", "mastering"])
def test_loudness_is_levelled_before_every_effect_that_depends_on_it(preset):
    for recipe in recipes(preset, count=100):
        for branch in ("input", "target"):
            previous = "normalise"
            for step in recipe[branch]:
                if step.get("effect") in ("compressor", "limiter"):
                    assert previous == "normalise"
                if step["step"] == "normalise":
                    assert step["lufs"] == -23
                previous = step["step"]
            assert recipe[branch][-1] == {"step": "normalise", "lufs": -23}


def test_a_mastered_stereo_clip_ends_at_its_loudness():
    from stylefx.audio import integrated_lufs

    audio = 0.2 * speech_like(88200, 44100, channels=2)
    for recipe in recipes("mastering", count=4):
        out, _ = apply_steps(audio, recipe["target"], 44100)
        assert integrated_lufs(out, 44100) == pytest.approx(-23.0, abs=0.01)


@pytest.mark.parametrize("preset", preset_names())
def test_the_recipes_of_a_preset_are_the_same_for_ever(preset):
    found = json.dumps(recipes(preset, 24000, 200), sort_keys=True)
    assert hex_digest("recipes", found) == RECIPES[preset]
