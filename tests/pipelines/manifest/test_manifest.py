"""Manifests: mistakes are one sentence with the place and the near miss; nothing in a YAML file is run or expanded."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.manifest.load import load_manifest
from pipelines.manifest.model import Manifest
from stylefx.errors import UserError
from tests.support.fuzz import fuzz

GOOD = """
name: small
output: out
sources:
  - name: speech
    path: data
    group: {parent: 2}
"""
FOLDER = Path(__file__).parents[3] / "manifests"
MANIFESTS = sorted(p for pattern in ("*.yaml", "corpora/*.yaml", "paper/*.yaml") for p in FOLDER.glob(pattern))


def load(tmp_path: Path, text: str, overrides=()) -> Manifest:
    path = tmp_path / "m.yaml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path, overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "sead: 1", r"unknown key sead \(line 8\); did you mean 'seed'\?"),
        (GOOD + "segment: {half_frame: 1}", r"unknown key segment.half_frame \(line 8\); did you mean 'half_frames'"),
        (GOOD.replace("path:", "paht:"), r"unknown key sources.0.paht \(line 6\); did you mean 'path'"),
        (GOOD.replace("parent", "parents"), r"unknown key sources.0.group.parents \(line 7\); did you mean 'parent'"),
        (GOOD + "augment: {tempo: {unifrm: [1, 2]}}", r"unknown key augment.tempo.unifrm \(line 8\); did you mean 'uniform'"),
        (
            GOOD + "chains:\n  input:\n    - {step: effect, effect: expander, setings: {}}",
            r"unknown key chains.input.0.setings \(line 10\); did you mean 'settings'",
        ),
        (GOOD + "level: {peak_db: -3}", r"unknown key level.peak_db \(line 8\); did you mean 'peak_dbfs'"),
        (GOOD + "split: {fractions: {train: 1, val: 1, test: 0}}", r"split.fractions \(line 8\): the fractions sum to 2"),
        (GOOD + "split: {val: [a], test: [a]}", "group 'a' is pinned to val and to test"),
        (GOOD + "augment: {probability: 2}", r"augment.probability \(line 8\): .*less than or equal to 1, got 2"),
        (GOOD + "augment: {tempo: {uniform: [2, 1]}}", "uniform needs low <= high"),
        (GOOD + "augment: {tempo: {normal: [1, 1]}}", "tempo can become -inf..inf"),
        (GOOD + "augment: {tempo: {uniform: [1, 2], constant: 1}}", "give exactly one of constant, uniform"),
        (GOOD.replace("{parent: 2}", "{regex: 'a.c'}"), "put the wanted part in parentheses"),
        (GOOD.replace("{parent: 2}", "{regex: '(a'}"), "not a regular expression"),
        (GOOD.replace("output: out\n", ""), "output is missing"),
        (GOOD + "name: again", "line 8, column 1: the key 'name' is given twice"),
        (GOOD + "seed: [1", "line 8"),
        ("- 1\n- 2", "a manifest is a mapping"),
        ("", "a manifest is a mapping"),
        (GOOD + "  - {name: speech, path: b}", "two sources are called 'speech'"),
        (GOOD + "  - {name: more, path: b, weight: 2}", "weights count only with selection.balance: weight"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_near_miss(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path, text)
    assert "m.yaml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "name: !!python/object/apply:os.system ['touch /tmp/owned']",
        "a: &a [x, x]\nb: [*a, *a]",
        "? [1, 2]\n: 3",
        "[" * 5000,
        "{a: " * 3000,
        "name: \x00",
        "a: 0x" + "f" * 5000,
        "1e99999: 2001-99-99",
    ],
)
def test_hostile_yaml_is_refused_in_one_sentence(tmp_path, text):
    with pytest.raises(UserError):
        load(tmp_path, text)


KEYS = st.sampled_from(["name", "sources", "segment", "split", "augment", "chains", "level", "tempo", "input", "step", "group"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("field", ["output", "sources.0.path", "sources.0.root", "sources.0.url"])
def test_credentials_in_an_address_are_refused_without_repeating_them(tmp_path, field):
    with pytest.raises(UserError, match="environment") as error:
        load(tmp_path, GOOD, [f"{field}=s3://key:secret@bucket/x"])
    assert "secret" not in str(error.value)


@fuzz(60)
@given(data=st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_data_is_a_manifest_or_a_user_error(tmp_path, data):
    base = yaml.safe_load(GOOD) | data
    with contextlib.suppress(UserError):
        load(tmp_path, yaml.safe_dump(base))


@fuzz(100)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_manifest_or_a_user_error(tmp_path, text):
    with pytest.raises(UserError):
        load(tmp_path, text)


def test_overrides_set_single_values(tmp_path):
    m = load(
        tmp_path,
        GOOD,
        ["sources.0.path=else where", "segment.sample_rate=44100", "augment.tempo={uniform: [0.9, 1.1]}", "level=none"],
    )
    assert (m.sources[0].path, m.segment.sample_rate, m.level) == ("else where", 44100, "none")
    assert m.augment.tempo.uniform == (0.9, 1.1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "is not NAME=VALUE"),
        ("sources.3.path=x", "'3' is not one of the 1 entries"),
        ("segment.rate=1", "unknown key segment.rate"),
    ],
)
def test_a_wrong_override_is_explained(tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, GOOD, [override])


def test_a_manifest_survives_its_own_plain_data(tmp_path):
    m = load(tmp_path, GOOD + "chains: {include: styles, input: []}\nselection: {hours: {val: 1}}")
    again = Manifest.model_validate(m.to_dict())
    assert again == m
    assert (again.digest(), again.recipe_digest()) == (m.digest(), m.recipe_digest())


def test_the_recipe_digest_covers_what_makes_bytes_and_not_where_files_lie(tmp_path):
    m = load(tmp_path, GOOD)
    same = [["sources.0.path=b"], ["output=b"], ["limits={max_failed_share: 0.5}"], ["shard={samples: 3}"]]
    other = [["seed=1"], ["level={lufs: -23}"], ["audio_format=pcm16"], ["preset=recovery"], ["augment={probability: 0.1}"]]
    assert {load(tmp_path, GOOD, o).recipe_digest() for o in same} == {m.recipe_digest()}
    assert len({load(tmp_path, GOOD, o).recipe_digest() for o in other} | {m.recipe_digest()}) == len(other) + 1


def test_the_meter_at_its_default_leaves_the_digests_of_manifests_that_do_not_know_it(tmp_path):
    """The digests of the manifest GOOD before there was the key; so are corpora and plans of that time, stored as flac16."""
    m = load(tmp_path, GOOD + "meter: bs1770\naudio_format: flac16\n")
    assert "meter" not in m.to_dict()
    assert (m.digest(), m.recipe_digest()) == ("c84ccd8ef33977409bf496d9527e3fff", "11e07746be9fe8a5391ddb6b5abb09a8")
    other = load(tmp_path, GOOD + "meter: pyloudnorm\naudio_format: flac16\n")
    assert other.to_dict()["meter"] == "pyloudnorm"
    assert len({other.digest(), other.recipe_digest(), m.digest(), m.recipe_digest()}) == 4
    with pytest.raises(UserError, match="meter"):
        load(tmp_path, GOOD + "meter: replaygain\n")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_the_manifests_that_come_with_the_project_are_valid(path):
    m = load_manifest(path)
    assert m.resolved_chains
    for source in m.sources:  # once for all recordings, or a column says it of each
        assert source.licence != "unknown" or source.columns.licence
        assert source.attribution or source.columns.attribution


def _keys(data) -> set[str]:
    if isinstance(data, dict):
        return set(data) | set().union(*map(_keys, data.values()), set())
    return set().union(*map(_keys, data), set()) if isinstance(data, list) else set()


def test_the_annotated_manifest_names_every_key_and_the_defaults():
    path = next(p for p in MANIFESTS if p.stem == "annotated")
    text = path.read_text()
    schema = Manifest.model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        for key in model.get("properties", {}):
            assert key in text, key
    data, defaults = yaml.safe_load(text), Manifest.model_validate(yaml.safe_load(GOOD)).to_dict()
    for part in ("segment", "join", "split", "limits", "shard"):
        assert Manifest.model_validate(yaml.safe_load(GOOD) | {part: data[part]}).to_dict()[part] == defaults[part]
    assert _keys(data) > {"half_frames", "regex", "hours"}
