"""Presets can be included and overridden; what the effects or the rate cannot hold is refused before planning."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.manifest.load import load_manifest
from pipelines.manifest.model import Manifest
from pipelines.manifest.sources import Source
from pipelines.plan.samples import PlannedSample, RecordingPart
from pipelines.render.recipe import draw_recipe
from pipelines.sources.listing import rule_value
from stylefx.errors import UserError
from stylefx.recipes.presets import load_preset, preset_names
from tests.pipelines.manifest.test_manifest import MANIFESTS

SAMPLE = PlannedSample(
    "s-0000000000000001-00000", "train", "s", "s/g", "own", "", "", 0, (RecordingPart("s/a", "a", "", 1, 1, 0, 1),), 0, 1, 1
)


def manifest(**changes) -> Manifest:
    return Manifest.model_validate({"name": "t", "output": "o", "sources": [{"name": "s", "path": "/a"}]} | changes)


def effects(recipe: dict, branch: str) -> list[str]:
    return [s.get("effect", s["step"]) for s in recipe[branch]]


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("rate", [24000, 44100, 96000])
def test_every_preset_gives_recipes_at_usual_rates(name, rate):
    m = manifest(preset=name, segment={"sample_rate": rate})
    assert draw_recipe(m, SAMPLE)["target"]


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_the_paper_s_preset_leaves_out_what_a_low_rate_cannot_hold(rate):
    m = manifest(segment={"sample_rate": rate})
    for i in range(50):
        recipe = draw_recipe(m, PlannedSample(**{**vars(SAMPLE), "key": f"s-{i:016x}-00000"}))
        for s in recipe["input"] + recipe["target"]:
            if s.get("effect") == "parametric_eq":
                used = [
                    b for b in ("band1", "band2", "band3", "band4", "low_shelf", "high_shelf") if s["settings"][f"{b}_gain_db"]
                ]
                assert all(s["settings"][f"{b}_cutoff_hz"] <= 0.45 * rate for b in used)


def test_styles_are_refused_where_the_rate_cannot_hold_their_cutoffs():
    with pytest.raises(UserError, match=r"style bright.*high_shelf_cutoff_hz can become 10000 Hz.*at most 9922.5 Hz"):
        _ = manifest(preset="styles", segment={"sample_rate": 22050}).resolved_chains


@pytest.mark.parametrize(
    ("chains", "message"),
    [
        ({"target": [{"step": "effect", "effect": "compresor"}]}, "no effect 'compresor'; did you mean 'compressor'"),
        ({"target": [{"step": "effect", "effect": "compressor", "settings": {"treshold_db": 1}}]}, "did you mean 'threshold_db'"),
        ({"target": [{"step": "effect", "effect": "compressor", "settings": {"ratio": 0.1}}]}, "ratio"),
        ({"target": [{"step": "effect", "effect": "compressor", "settings": {"ratio": {"normal": [3, 1]}}}]}, "add clip"),
        ({"target": [{"step": "effect", "effect": "compressor", "drawn_by": "deepafx-eq"}]}, "did you mean 'deepafx-st-eq'"),
        (
            {"target": [{"step": "effect", "effect": "compressor", "drawn_by": "deepafx-st-eq"}]},
            "draws the settings of parametric_eq",
        ),
        ({"target": [{"step": "effect", "effect": "compressor", "mix": {"uniform": [0.5, 1.5]}}]}, "keep it within 0..1"),
        ({"include": "deepafx"}, "no preset 'deepafx'; did you mean 'deepafx-st'"),
        ({"include": "/no/such.yaml"}, "cannot read"),
        ({"styles": [{"label": "a", "target": []}, {"label": "a", "target": []}]}, "same label"),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_the_near_miss(chains, message):
    with pytest.raises(UserError, match=message):
        _ = manifest(chains=chains).resolved_chains


def test_a_manifest_replaces_parts_of_its_preset():
    chains = {"input": [{"step": "effect", "effect": "expander"}], "finish": []}
    recipe = draw_recipe(manifest(chains=chains), SAMPLE)
    assert effects(recipe, "input") == ["expander"]
    assert effects(recipe, "target") != []
    assert recipe["label"] == "own"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"name": "AddGausianNoise"}, "did you mean 'AddGaussianNoise'"),
        ({"name": "Gain", "parameters": {"gaindb": 1}}, "no parameter 'gaindb'"),
        ({"name": "PitchShift"}, r"use augment\.pitch_cents"),
    ],
)
def test_further_augmentations_are_checked_before_planning(extra, message):
    with pytest.raises(UserError, match=message):
        _ = manifest(augment={"extra": [extra]}).resolved_chains


def test_an_effect_can_be_mixed_with_what_it_processes():
    chains = {"target": [{"step": "effect", "effect": "compressor", "mix": {"uniform": [0.2, 0.4]}}]}
    step = next(s for s in draw_recipe(manifest(chains=chains), SAMPLE)["target"] if s["step"] == "effect")
    assert 0.2 <= step["mix"] <= 0.4


def test_presets_are_files_that_can_include_one_another(tmp_path):
    (tmp_path / "mine.yaml").write_text("include: recovery\nclean: []\n")
    mine, recovery = load_preset(str(tmp_path / "mine.yaml")), load_preset("recovery")
    assert (mine.clean, mine.target, mine.equivalent) == ((), recovery.target, True)
    (tmp_path / "loop.yaml").write_text(f"include: {tmp_path}/loop.yaml\n")
    with pytest.raises(UserError, match="includes itself"):
        load_preset(str(tmp_path / "loop.yaml"))
    (tmp_path / "typo.yaml").write_text("targett: []\n")
    with pytest.raises(UserError, match="did you mean 'target'"):
        load_preset(str(tmp_path / "typo.yaml"))


@pytest.mark.parametrize(
    ("level", "expected"), [({"lufs": -23}, {"lufs": -23.0}), ({"peak_dbfs": -6}, {"peak_dbfs": -6.0}), ("none", None)]
)
def test_the_manifest_s_level_is_the_one_that_is_normalised_to(level, expected):
    recipe = draw_recipe(manifest(level=level), SAMPLE)
    steps = [s for b in ("clean", "input", "target") for s in recipe[b] if s["step"] == "normalise"]
    assert [{k: v for k, v in s.items() if k != "step"} for s in steps] == [expected] * len(steps)
    assert bool(steps) == (expected is not None)


def test_the_same_effect_twice_is_drawn_twice():
    step = {"step": "effect", "effect": "compressor", "settings": {"ratio": {"uniform": [1, 9]}}}
    recipe = draw_recipe(manifest(chains={"target": [step, step]}), SAMPLE)
    first, second = (s["settings"]["ratio"] for s in recipe["target"] if s["step"] == "effect")
    assert first != second


def test_the_schema_completes_every_manifest():
    schema = json.loads(CliRunner().invoke(cli, ["schema"]).output)
    assert {"name", "sources", "segment", "augment", "chains"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    import jsonschema

    for path in MANIFESTS:
        import yaml

        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


FILES = {
    "librispeech-dev-clean": [("1272/128104/1272-128104-0000.flac", "1272")],
    "libritts": [("train-clean-100/103/1240/103_1240_000000_000001.wav", "103")],
    "vctk": [("p225/p225_001_mic1.flac", "p225")],
    "daps": [("clean/f10_script1_clean.wav", "f10"), ("clean/m2_script5_clean.wav", "m2")],
    "musdb18hq": [
        ("train/Music Delta - Disco/mixture.wav", "Music Delta"),
        ("test/AM Contra - Heart Peripheral/mixture.wav", "AM Contra"),
    ],
}


@pytest.mark.parametrize("path", [p for p in MANIFESTS if p.stem in FILES], ids=lambda p: p.stem)
def test_the_group_rules_of_the_public_corpora_find_speakers_and_artists(path):
    source: Source = load_manifest(path).sources[0]
    for file, group in FILES[path.stem]:
        assert rule_value(source.group, file, {}) == group
