"""Recipes follow the paper's distributions, are pure, and no draw depends on another."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from pipelines.manifest.model import Manifest
from pipelines.plan.hash import words
from pipelines.plan.samples import PlannedSample, RecordingPart
from pipelines.render.recipe import draw_recipe
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.keyed import Draw
from stylefx.recipes.chains import Chains
from stylefx.recipes.distributions import Distribution, map_words
from stylefx.recipes.equivalent import equivalent_settings

PART = RecordingPart("s/a.wav", "/a.wav", "", 24000, 1, 0, 262144)
KEYS = [f"s-{i:016x}-00000" for i in range(3000)]


def manifest(**changes) -> Manifest:
    return Manifest.model_validate({"name": "t", "output": "o", "seed": 5, "sources": [{"name": "s", "path": "/a"}]} | changes)


def sample(key: str, split: str = "train", label: str = "") -> PlannedSample:
    return PlannedSample(key, split, "s", "s/g", label, "", "", 0, (PART,), 0.0, 1.0, 262144)


def steps(recipe: dict, branch: str, effect: str) -> list[dict]:
    return [s["settings"] for s in recipe[branch] if s.get("effect") == effect]


@pytest.fixture(scope="module")
def recipes() -> list[dict]:
    m = manifest()
    return [draw_recipe(m, sample(k)) for k in KEYS]


def is_uniform(values, low, high) -> bool:
    return scipy.stats.kstest(values, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-4


def test_the_same_sample_has_the_same_recipe_whatever_was_drawn_before(recipes):
    m = manifest()
    for i in (2999, 7, 1500):
        assert draw_recipe(m, sample(KEYS[i])) == recipes[i]
    assert draw_recipe(manifest(seed=6), sample(KEYS[7])) != recipes[7]


@pytest.mark.parametrize(
    ("branch", "effect", "probability"),
    [
        ("input", "parametric_eq", 0.75),
        ("input", "expander", 0.1),
        ("target", "parametric_eq", 0.75),
        ("target", "compressor", 0.75),
    ],
)
def test_effects_occur_as_often_as_in_the_paper(recipes, branch, effect, probability):
    count = sum(bool(steps(r, branch, effect)) for r in recipes)
    assert scipy.stats.binomtest(count, len(recipes), probability).pvalue > 1e-4


def test_branches_are_equalised_independently(recipes):
    both = sum(bool(steps(r, "input", "parametric_eq")) and bool(steps(r, "target", "parametric_eq")) for r in recipes)
    assert scipy.stats.binomtest(both, len(recipes), 0.75**2).pvalue > 1e-4


@pytest.mark.parametrize(
    ("branch", "effect", "name", "low", "high"),
    [
        ("target", "compressor", "threshold_db", -64, -12),
        ("target", "compressor", "ratio", 1, 11),
        ("target", "compressor", "attack_ms", 0.5, 50.5),
        ("target", "compressor", "knee_db", 0, 12),
        ("target", "compressor", "makeup_gain_db", 0, 6),
        ("input", "expander", "threshold_db", -30, -10),
        ("input", "expander", "ratio", 1, 5),
        ("input", "expander", "attack_ms", 1, 51),
        ("input", "expander", "knee_db", 0, 12),
        ("input", "expander", "makeup_gain_db", 0, 6),
    ],
)
def test_dynamics_are_drawn_as_in_the_paper(recipes, branch, effect, name, low, high):
    assert is_uniform([s[name] for r in recipes for s in steps(r, branch, effect)], low, high)


def test_release_is_attack_plus_up_to_200_ms_and_at_least_5_ms(recipes):
    drawn = [s for r in recipes for s in steps(r, "target", "compressor")]
    assert min(s["release_ms"] for s in drawn) >= 5.0
    over = [s["release_ms"] - s["attack_ms"] for s in drawn if s["release_ms"] > 5.0]
    assert is_uniform(over, 0, 200)


def reference_eq(seed: int, key: str, branch: str) -> dict:
    """The running-sum rule, written again from the paper's words, on the same elementary draws."""

    def quantity(name):
        return Draw(seed, f"{branch} parametric_eq {name}", key)

    gains, kept = [], {}
    for band in ("band1", "band2", "band3", "band4"):
        if quantity(f"{band} applied").unit() < 0.8:
            d = quantity(f"{band} gain")
            sign = 1 if d.unit() < 0.5 else -1
            gains.append(sign * d.uniform(0, 48))
            if not abs(sum(gains)) >= 24:
                kept[band] = max(-24.0, min(24.0, gains[-1]))
    return kept


def test_bands_are_skipped_when_the_running_sum_of_gains_reaches_24_db(recipes):
    checked = skipped = 0
    for key, recipe in zip(KEYS[:800], recipes):
        for branch in ("input", "target"):
            for settings in steps(recipe, branch, "parametric_eq"):
                expected = reference_eq(5, key, branch)
                got = {b: settings[f"{b}_gain_db"] for b in ("band1", "band2", "band3", "band4") if settings[f"{b}_gain_db"]}
                assert got == pytest.approx(expected)
                checked, skipped = checked + 1, skipped + (len(got) < 3)
    assert checked > 1000
    assert skipped > 300


def test_a_single_large_gain_is_clipped_to_24_db(recipes):
    gains = [s[f"band{b}_gain_db"] for r in recipes for s in steps(r, "target", "parametric_eq") for b in (2, 3, 4)]
    assert max(gains) == 24.0
    assert min(gains) == -24.0


@pytest.mark.parametrize(
    ("band", "low", "high"), [("band1", 200, 2000), ("band2", 800, 4000), ("band3", 2000, 8000), ("band4", 4000, 10800)]
)
def test_bands_lie_where_the_paper_has_them(recipes, band, low, high):
    drawn = [s for r in recipes for s in steps(r, "target", "parametric_eq") if s[f"{band}_gain_db"]]
    assert is_uniform([s[f"{band}_cutoff_hz"] for s in drawn], low, high)
    q = np.array([s[f"{band}_q"] for s in drawn])
    assert q.max() <= 10.0
    assert is_uniform(q[q < 10.0], 0.1, 10.0)


@pytest.mark.parametrize(("shelf", "low", "high"), [("low_shelf", 20, 200), ("high_shelf", 4000, 10800)])
def test_shelves_have_slope_one_half(recipes, shelf, low, high):
    drawn = [s for r in recipes for s in steps(r, "input", "parametric_eq") if s[f"{shelf}_gain_db"]]
    assert is_uniform([s[f"{shelf}_gain_db"] for s in drawn], -24, 24)
    assert is_uniform([s[f"{shelf}_cutoff_hz"] for s in drawn], low, high)
    for s in drawn[:50]:
        a = 10 ** (s[f"{shelf}_gain_db"] / 40)
        # RBJ: 1/Q = sqrt((A + 1/A)(1/S - 1) + 2) with S = 1/2
        assert 1 / s[f"{shelf}_q"] == pytest.approx(math.sqrt((a + 1 / a) * (1 / 0.5 - 1) + 2))


def test_the_target_is_normalised_again_before_its_compressor(recipes):
    recipe = next(r for r in recipes if len([s for s in r["target"] if s["step"] == "effect"]) == 2)
    order = [s.get("effect", s["step"]) for s in recipe["target"]]
    assert order == ["parametric_eq", "normalise", "compressor", "fade", "normalise"]
    assert [s["peak_dbfs"] for s in recipe["target"] if s["step"] == "normalise"] == [-12.0, -12.0]
    assert [s["step"] for s in recipe["clean"]] == ["normalise"]


def test_a_new_effect_shifts_no_other_draw(recipes):
    base = manifest().resolved_chains.model_dump(exclude_none=True)
    extra = {"step": "effect", "effect": "compressor", "settings": {"ratio": {"uniform": [1, 2]}}}
    base["target"] = [extra | {"id": "new"}, *base["target"]]
    base["input"] = [*base["input"], extra]
    m = manifest(chains=Chains.model_validate(base).model_dump(exclude_none=True))
    for key, before in zip(KEYS[:200], recipes):
        after = draw_recipe(m, sample(key))
        assert after["target"][1:] == before["target"]
        assert [s for s in after["input"] if s.get("effect") != "compressor"] == before["input"]


def test_a_new_parameter_shifts_no_other_draw():
    def chain(settings):
        return manifest(chains={"target": [{"step": "effect", "effect": "compressor", "settings": settings}]})

    one, two = (
        {"ratio": {"uniform": [1, 9]}},
        {"threshold_db": {"normal": [-30, 5], "clip": [-60, 0]}, "ratio": {"uniform": [1, 9]}},
    )
    for key in KEYS[:50]:
        a, b = (steps(draw_recipe(chain(s), sample(key)), "target", "compressor")[0] for s in (one, two))
        assert a["ratio"] == b["ratio"]
        assert a["threshold_db"] == -24.0 != b["threshold_db"]


DISTRIBUTIONS = [
    ({"uniform": (-3.0, 5.0)}, scipy.stats.uniform(-3, 8)),
    ({"log_uniform": (20.0, 2000.0)}, scipy.stats.loguniform(20, 2000)),
    ({"normal": (2.0, 3.0)}, scipy.stats.norm(2, 3)),
]


@pytest.mark.parametrize(("declared", "reference"), DISTRIBUTIONS, ids=["uniform", "log_uniform", "normal"])
def test_declared_distributions_are_what_they_say(declared, reference):
    d = Distribution(**declared)
    values = [d.draw(Draw(1, "p", str(i))) for i in range(4000)]
    assert scipy.stats.kstest(values, reference.cdf).pvalue > 1e-4
    planned = map_words(d, words(1, "p", np.arange(20000, dtype=np.uint64), 3), 6)
    assert scipy.stats.kstest(planned, reference.cdf).pvalue > 1e-4


def test_choices_have_their_weights_and_probabilities_leave_defaults():
    d = Distribution(choice=(1.0, 2.0, 5.0), weights=(1, 2, 1), probability=0.5)
    for values in (
        np.array([d.draw(Draw(1, "p", str(i))) for i in range(4000)], float),
        map_words(d, words(1, "p", np.arange(4000, dtype=np.uint64), 3), 6),
    ):
        counts = [np.isnan(values).sum(), *((values == v).sum() for v in (1, 2, 5))]
        assert scipy.stats.chisquare(counts, np.array([0.5, 0.125, 0.25, 0.125]) * 4000).pvalue > 1e-4


def test_further_augmentations_are_drawn_in_training_only_with_a_seed_of_their_own():
    extra = [{"name": "AddGaussianNoise", "probability": 1.0, "parameters": {"min_amplitude": {"log_uniform": [1e-4, 1e-3]}}}]
    m = manifest(augment={"extra": extra})
    drawn = [draw_recipe(m, sample(k))["augmentation"]["extra"][0] for k in KEYS[:20]]
    assert len({e["seed"] for e in drawn}) == 20
    assert all(1e-4 <= e["parameters"]["min_amplitude"] <= 1e-3 for e in drawn)
    assert draw_recipe(m, sample(KEYS[0], split="val"))["augmentation"]["extra"] == []


def with_gains(recipe: dict, gains: list[float]) -> dict:
    """The recipe as rendered, with these gains at its normalise steps."""
    it = iter(gains)
    return recipe | {
        b: [s | {"gain_db": next(it)} if s["step"] == "normalise" else s for s in recipe[b]] for b in ("input", "target")
    }


@pytest.mark.parametrize("key", KEYS[:24])
def test_equivalent_settings_map_the_stored_input_to_the_stored_target(key):
    recipe = with_gains(draw_recipe(manifest(preset="recovery"), sample(key)), [2.5, -9.0, 4.0, 1.25])
    settings = equivalent_settings(recipe)
    assert [e["effect"] for e in settings] == ["parametric_eq", "compressor"]
    rng = np.random.default_rng(1)
    clean = (0.2 * rng.standard_normal((1, 20000)) * np.linspace(0, 1, 20000)).astype(np.float32)

    def rendered(branch):
        audio = clean
        for s in recipe[branch]:
            if s["step"] == "effect":
                audio = make_effect(s["effect"]).render(audio, s["settings"], 24000)
            audio = audio * np.float32(10 ** (s.get("gain_db", 0.0) / 20))
        return audio

    chain = EffectChain.of(make_effect("parametric_eq"), make_effect("compressor"))
    plain = [{"effect": e["effect"], "settings": e["settings"]} for e in settings]
    got, expected = chain.render(rendered("input"), plain, 24000), rendered("target")
    assert np.sqrt(np.mean((got - expected) ** 2)) < 1e-3 * np.sqrt(np.mean(expected**2))


def test_no_equivalent_settings_where_the_input_has_effects(recipes):
    wet = next(r for r in recipes if any(s["step"] == "effect" for s in r["input"]))
    assert equivalent_settings(wet) is None


def test_labels_are_balanced_and_say_nothing_about_content():
    m = manifest(preset="styles")
    labels = np.array([draw_recipe(m, sample(k))["label"] for k in KEYS])
    names, counts = np.unique(labels, return_counts=True)
    assert set(names) == {"neutral", "broadcast", "telephone", "bright", "warm"}
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    content = np.arange(len(KEYS)) % 7  # any property of the content that is known before the draw
    table = np.array([[np.sum((labels == n) & (content == c)) for c in range(7)] for n in names])
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-4


#: low shelf, band 1, high shelf in dB; threshold, ratio, attack, release
STYLES = {
    "neutral": [(1, 3), None, (1, 3), (-30, -20), (1.5, 2), (50, 70), (100, 300)],
    "broadcast": [(2, 6), None, (2, 6), (-50, -40), (3, 5), (5, 30), (50, 150)],
    "telephone": [(-26, -20), (12, 16), (-26, -20), (-40, -20), (1.5, 3), (1, 6), (10, 60)],
    "bright": [(-26, -20), None, (20, 26)],
    "warm": [(20, 26), None, (-26, -20)],
}
EQ = ["low_shelf_gain_db", "band1_gain_db", "high_shelf_gain_db"]
NAMES = [*EQ, "threshold_db", "ratio", "attack_ms", "release_ms"]


def test_styles_are_those_of_the_paper():
    m = manifest(preset="styles")
    for key in KEYS[:300]:
        recipe = draw_recipe(m, sample(key))
        expected = STYLES[recipe["label"]]
        assert bool(steps(recipe, "target", "compressor")) == (len(expected) > 3)
        drawn = {
            k: v for s in steps(recipe, "target", "parametric_eq") + steps(recipe, "target", "compressor") for k, v in s.items()
        }
        for name, limits in zip(NAMES, expected):
            low, high = limits or (0, 0)
            assert low <= drawn[name] <= high
        assert not steps(recipe, "input", "parametric_eq")
