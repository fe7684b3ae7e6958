"""Preset `recovery`: the settings stored with a sample, applied to its stored input, give its stored target."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from pipelines.manifest.model import Manifest
from pipelines.plan.samples import PlannedSample, RecordingPart
from pipelines.render.sample import render_sample
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect

RATE, HALF = 24000, 65536
CHAIN = EffectChain.of(make_effect("parametric_eq"), make_effect("compressor"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Bursts of harmonics over noise: loud, quiet and changing, with as much treble as close speech has."""
    t = np.arange(2 * HALF) / RATE
    rng = np.random.default_rng(3)
    pitch = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 0.4 * t)) / RATE
    voice = sum(np.sin(k * pitch) / k for k in range(1, 60)) * np.clip(np.sin(2 * np.pi * 1.7 * t), 0, None) ** 2
    audio = (0.2 * voice + 0.02 * rng.standard_normal(len(t))).astype(np.float32)
    path = tmp_path_factory.mktemp("recovery") / "a.wav"
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("index", range(16))
@pytest.mark.parametrize(
    ("level", "audio_format", "most_db"),
    [
        ({"peak_dbfs": -12}, "flac16", -60.0),  # what 16 bits leave, lifted by the equaliser
        ({"peak_dbfs": -12}, "float32", -110.0),
        ({"lufs": -23}, "float32", -110.0),
        ("none", "float32", -110.0),
    ],
    ids=["peak, flac16", "peak", "lufs", "none"],
)
def test_stored_settings_reproduce_the_stored_target(recording, index, level, audio_format, most_db):
    m = Manifest.model_validate(
        {
            "name": "t",
            "output": "o",
            "sources": [{"name": "s", "path": "/a"}],
            "segment": {"half_frames": HALF, "sample_rate": RATE},
            "preset": "recovery",
            "level": level,
            "audio_format": audio_format,
        }
    )
    part = RecordingPart("s/a.wav", str(recording), "", RATE, 1, 0, 2 * HALF, 1)
    key = f"s-{index:016x}-00000"
    sample = PlannedSample(key, "train", "s", "s/g", "", "", "", 0, (part,), 0.0, 1.0, 2 * HALF)
    rendered = render_sample(m, sample)
    settings = [{k: e[k] for k in ("effect", "settings")} for e in rendered.document["equivalent"]]
    stored = {name: soundfile.read(io.BytesIO(data), dtype="float32")[0] for name, data in rendered.members.items()}
    suffix = "flac" if audio_format == "flac16" else "wav"
    for half in "ab":
        got, target = CHAIN.render(stored[f"{half}.input.{suffix}"][None], settings, RATE)[0], stored[f"{half}.target.{suffix}"]
        inner = slice(RATE, HALF - int(0.06 * RATE))  # a half starts with zero state, and ends in the fade
        error = np.sqrt(np.mean((got[inner] - target[inner]) ** 2) / np.mean(target[inner] ** 2))
        assert 20 * np.log10(max(error, 1e-9)) < most_db
