"""The page of a preset: pairs as a build would draw them, to hear and to see."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from pipelines.look.preset import SECONDS, preset_page, stretch
from stylefx.audio.distance import mr_stft
from stylefx.errors import UserError
from stylefx.recipes.presets import preset_names
from tests.inference.conftest import speech_like, write

RATE = 24000


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write(tmp_path_factory.mktemp("preset") / "a <b>.wav", 0.5 * speech_like(8, RATE, seed=1, channels=2), RATE)


@pytest.mark.parametrize("preset", [name for name in preset_names() if name != "paper-sox"])
def test_every_preset_makes_pairs_that_are_heard_and_measured(recording, preset):
    text = preset_page(preset, recording, pairs=2)
    assert text == preset_page(preset, recording, pairs=2), "drawn by key"
    assert text != preset_page(preset, recording, pairs=2, seed=1)
    players = re.findall(r'src="data:audio/flac;base64,([^"]+)"', text)
    assert len(players) == 6
    waves = [soundfile.read(io.BytesIO(base64.b64decode(p)), dtype="float32", always_2d=True)[0].T for p in players]
    assert {wave.shape for wave in waves} == {(1, round(SECONDS * RATE))}
    distances = [float(d) for d in re.findall(r"distance of input and target ([0-9.]+)", text)]
    assert len(distances) == 2
    assert "a &lt;b&gt;.wav" in text
    if "lowered by" not in text:  # what is played is what was measured
        assert mr_stft(waves[1], waves[2]) == pytest.approx(distances[0], rel=0.15)


def test_what_cannot_be_heard_is_one_sentence(tmp_path):
    silent = write(tmp_path / "s.wav", np.zeros((1, RATE)), RATE)
    with pytest.raises(UserError, match="silent where it was listened to"):
        stretch(silent)
    with pytest.raises(UserError, match="preset"):
        preset_page("no-such", write(tmp_path / "a.wav", speech_like(1, RATE), RATE))
