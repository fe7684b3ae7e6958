"""Settings that people write: near misses, wrong types and slips are refused with their place; what was written before loads."""

import json

import numpy as np
import pytest

from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.settings_file import StyleSettings, load_settings
from tests.inference.conftest import speech_like

#: as stylefx 0.1.0 wrote it, before limiters, offsets and amounts
FIRST = """{"format": "stylefx-settings", "version": 1, "made_by": "stylefx 0.1.0", "sample_rate_hz": 44100.0, "effects": [
 {"effect": "parametric_eq", "config": {"ranges": "deepafx-st"}, "settings": {"band1_gain_db": 3.0},
  "units": {"band1_gain_db": "dB"}, "clamped": {"high_shelf_cutoff_hz": 7200.0}},
 {"effect": "compressor", "config": {}, "settings": {"threshold_db": -31.2, "ratio": 2.0}, "units": {},
  "mix": 0.5, "bypass": true}],
 "output_gain_db": -1.3, "about": {"gains": {"true_peak_guard_db": -1.3}}}"""


def loaded(tmp_path, data) -> StyleSettings:
    path = tmp_path / "s.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return load_settings(path)


def test_settings_of_the_first_release_load_and_render_alike(tmp_path):
    style = loaded(tmp_path, FIRST)
    audio = speech_like(0.5, 24000)
    settings = [{"effect": "parametric_eq", "settings": {"band1_gain_db": 3.0}}, {"effect": "compressor", "bypass": True}]
    np.testing.assert_array_equal(
        style.chain.render(audio, style.settings, 24000), deepafx_st_chain().render(audio, settings, 24000)
    )
    assert style.output_gain_db == -1.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(output_gian_db=2), "did you mean 'output_gain_db'"),
        (lambda d: d.update(effect=[]), "did you mean 'effects'"),
        (lambda d: d["effects"][1].update(bypas=True), "did you mean 'bypass'"),
        (lambda d: d["effects"][1].update(setings={}), "did you mean 'settings'"),
        (lambda d: d["effects"][1]["settings"].update(ratioo=2), "did you mean 'ratio'"),
        (lambda d: d["effects"][0]["config"].update(range="x"), "range"),
        (lambda d: d["effects"][1].update(bypass="no"), "bypass is 'no'"),
        (lambda d: d["effects"][1].update(mix="half"), "mix is 'half'"),
        (lambda d: d["effects"][1].update(settings=[1]), "must be an object"),
        (lambda d: d["effects"][1].update(settings=None), "must be an object"),
        (lambda d: d.update(about=3), "must be an object"),
        (lambda d: d.update(sample_rate_hz="44.1k"), "sample_rate_hz is '44.1k'"),
        (lambda d: d.update(version=True), "version True"),
        (lambda d: d.update(version=2), "update stylefx"),
        (lambda d: d["effects"][1]["settings"].update(makeup_gain_db=1000), "makeup_gain_db is 1000; give a gain within"),
        (lambda d: d["effects"][0]["settings"].update(band1_gain_db=-400), "band1_gain_db is -400"),
        (lambda d: d.update(output_gain_db=500), "output_gain_db is 500"),
    ],
)
def test_slips_are_refused_with_the_place_and_the_near_miss(tmp_path, change, message):
    data = StyleSettings.of(deepafx_st_chain(), None, sample_rate=24000.0).to_dict()
    change(data)
    with pytest.raises(UserError, match=message) as error:
        loaded(tmp_path, data)
    assert "s.json" in str(error.value)


def test_what_is_written_is_read_back(tmp_path):
    data = loaded(tmp_path, FIRST).to_dict()
    assert loaded(tmp_path, data).to_dict() == data


@pytest.mark.parametrize(
    "entry",
    [
        {"effect": "\n", "settings": {}, "x": 1},
        {"effect": "gain", "settings": {"\n": float("inf")}},
        {"effect": "parametric_eq", "config": {"\n": 1}},
    ],
)
def test_names_with_line_breaks_stay_in_one_line(tmp_path, entry):
    with pytest.raises(UserError) as error:
        loaded(tmp_path, {"format": "stylefx-settings", "version": 1, "effects": [entry]})
    assert "\n" not in str(error.value)


def test_what_is_said_about_settings_can_be_written_again(tmp_path):
    text = '{"format": "stylefx-settings", "version": 1, "effects": [{"effect": "gain"}], "about": {"gains": [NaN]}}'
    with pytest.raises(UserError, match=r's\.json: "about" holds NaN or infinity, which JSON does not know'):
        loaded(tmp_path, text)
