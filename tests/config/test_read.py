"""Strict YAML: what is not plain, whole and unambiguous is refused, with its place."""

from __future__ import annotations

import json
import math
import pickle

import pytest

from stylefx.config.read import parse_json, parse_yaml, read_yaml
from stylefx.effects.files import load_chain
from stylefx.errors import UserError
from stylefx.inference.settings_file import load_settings
from stylefx.training.config import load_config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"x line 3, column 1: .*the key 'a' is given twice"),
        ("a: {b: 1, b: 2}", r"x line 1, column 11: .*the key 'b' is given twice"),
        ("a: &x 1\nb: *x", r"x line 2, column 4: .*aliases"),
        ("[a]: 1", r"x line 1, column 1: .*keys must be plain words"),
        ("a: [", r"x line 1, column 5: not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("[" * 3000, "nested too deeply"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(text, message):
    with pytest.raises(UserError, match=message):
        parse_yaml(text, "x")


@pytest.mark.parametrize("number", ["1e-4", "3E5", "-2.5e3", ".5e1", "1.0e-4", "1e+2"])
def test_numbers_with_an_exponent_are_numbers_as_in_json(number):
    assert parse_yaml(f"a: {number}", "x")[0] == {"a": float(number)}


@pytest.mark.parametrize("word", ["e5", "1e", "12e4x", "1e5-2", "'1e5'", "e-4"])
def test_words_stay_words(word):
    assert isinstance(parse_yaml(word, "x")[0], str)


def test_json_is_read_as_json():
    data = {"effects": [{"x": 1e-07, "y": -0.25, "z": [1, True, None, "1e5", "é"]}]}
    assert parse_yaml(json.dumps(data), "x")[0] == data
    assert math.isinf(parse_yaml("a: .inf", "x")[0]["a"])


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*nowhere\.yaml: No such file"):
        read_yaml(tmp_path / "nowhere.yaml", "a chain")
    (tmp_path / "b.yaml").write_bytes(pickle.dumps(object()))
    with pytest.raises(UserError, match=r"b\.yaml is not UTF-8 text \(byte 0\); is it a chain\?"):
        read_yaml(tmp_path / "b.yaml", "a chain")


def test_training_and_chains_refuse_a_key_given_twice_and_name_the_line(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("steps: 1\ndata: {corpora: a}\nsteps: 2\n")
    with pytest.raises(UserError, match=r"run\.yaml line 3, column 1: .*'steps' is given twice"):
        load_config(file)
    file.write_text("format: stylefx-chain\nversion: 1\neffects:\n  - {effect: gain, mix: 1, mix: 0.5}\n")
    with pytest.raises(UserError, match=r"run\.yaml line 4, column 28: .*'mix' is given twice"):
        load_chain(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "s: the key 'c' is given twice"),
        ('{"a": 1,\n "b": }', "s line 2, column 7: not valid JSON"),
        ("[" * 100000, "nested too deeply"),
    ],
)
def test_json_is_as_strict(text, message):
    with pytest.raises(UserError, match=message):
        parse_json(text, "s")


def test_settings_refuse_a_key_given_twice(tmp_path):
    (tmp_path / "s.json").write_text('{"format": "stylefx-settings", "version": 1, "output_gain_db": 0, "output_gain_db": 6}')
    with pytest.raises(UserError, match=r"s\.json: the key 'output_gain_db' is given twice; give a file that"):
        load_settings(tmp_path / "s.json")
