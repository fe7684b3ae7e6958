"""``stylefx transfer`` on any recording: the file, the settings, and what the options change."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch

from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.hearing.predict import predict
from stylefx.inference.settings_file import StyleSettings, load_settings
from stylefx.models.registry import make_encoder
from tests.inference.conftest import speech_like, write


@pytest.fixture
def recordings(tmp_path):
    return (
        write(tmp_path / "in.wav", speech_like(7, 44100, seed=1, channels=2), 44100),
        write(tmp_path / "ref.wav", 0.3 * speech_like(9, 16000, seed=2, pitch_hz=220), 16000),
        write(tmp_path / "ref2.wav", speech_like(6, 32000, seed=5, pitch_hz=90), 32000),
    )


@pytest.fixture
def tool(checkpoint):
    from stylefx.inference.transfer import StyleTransfer

    return StyleTransfer(checkpoint)


@pytest.mark.parametrize(
    ("rate", "channels", "extension"), [(8000, 1, "wav"), (24000, 2, "flac"), (48000, 1, "aiff"), (96000, 2, "wav")]
)
def test_any_rate_mono_and_stereo(tmp_path, command, checkpoint, recordings, rate, channels, extension):
    source = write(tmp_path / "any.wav", speech_like(4.3, rate, channels=channels), rate)
    out = tmp_path / f"out.{extension}"
    status, text, _ = command("transfer", source, recordings[1], "-o", out, "--model", checkpoint)
    info = soundfile.info(out)
    assert status == 0
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, round(4.3 * rate))
    style = load_settings(out.with_suffix(".json"))
    assert style.sample_rate == rate
    for wanted in ("threshold", "dB", "Hz", "ms", "agreement", str(out)):
        assert wanted in text


def test_settings_are_versioned_have_units_and_render_the_same_file(tmp_path, command, checkpoint, recordings):
    out, again = tmp_path / "out.wav", tmp_path / "again.wav"
    assert command("transfer", *recordings[:2], "-o", out, "--model", checkpoint)[0] == 0
    data = json.loads((tmp_path / "out.json").read_text())
    assert (data["format"], data["version"], data["sample_rate_hz"]) == ("stylefx-settings", 1, 44100)
    assert data["effects"][1]["units"]["attack_ms"] == "ms"
    assert len(data["about"]["model"]["sha256"]) == 64
    assert command("render", recordings[0], "--settings", tmp_path / "out.json", "-o", again)[0] == 0
    assert out.read_bytes() == again.read_bytes()


def test_the_model_hears_windows_and_the_render_answers_to_the_recordings_level(tmp_path, tool, recordings):
    """Settings of a recording and of the same one 20 dB lower differ by the threshold, by exactly 20 dB."""
    quiet = write(tmp_path / "quiet.wav", 0.1 * soundfile.read(recordings[0], dtype="float32")[0].T, 44100)
    loud_settings = tool.settings(recordings[0], recordings[1]).settings
    quiet_settings = tool.settings(quiet, recordings[1]).settings
    for a, b in zip(loud_settings, quiet_settings, strict=True):
        for name, value in a["settings"].items():
            moved = 20.0 if name == "threshold_db" else 0.0
            assert b["settings"][name] == pytest.approx(value - moved, abs=2e-3), name


def test_prediction_is_the_models_own_on_a_single_window(tmp_path, tool):
    """With one window each, settings are what model.predict gives on the normalised audio."""
    rate = int(tool.model.sample_rate)
    a, b = speech_like(5, rate, seed=1), speech_like(5, rate, seed=2)
    style = tool.settings(write(tmp_path / "a.wav", a, rate), write(tmp_path / "b.wav", b, rate))
    normal = [torch.from_numpy(x * np.float32(10 ** (-12 / 20) / np.abs(x).max()))[None] for x in (a, b)]
    with torch.no_grad():
        controls = tool.model.predict(*normal)[0].double().numpy()
    expected = deepafx_st_chain().settings(controls)
    gain_db = -12 - 20 * math.log10(np.abs(a).max())
    expected[1]["settings"]["threshold_db"] -= gain_db
    for entry, other in zip(style.settings, expected, strict=True):
        for name, value in other["settings"].items():
            assert entry["settings"][name] == pytest.approx(value, rel=1e-3, abs=1e-3)


def test_weights_move_the_style_between_references(tool, recordings):
    source, *styles = (tool.hear(r) for r in recordings)

    def controls(references, weights=()):
        return predict(tool.model, source, references, weights).controls

    first, second = (controls([s]) for s in styles)
    apart = np.abs(first - second).max()
    assert apart > 1e-3, "the model must tell the references apart in this test"
    assert np.abs(controls(styles, (1000.0, 1.0)) - first).max() < 0.05 * apart
    assert np.abs(controls(styles, (1.0, 1000.0)) - second).max() < 0.05 * apart
    even = controls(styles)
    assert 0.1 * apart < min(np.abs(even - first).max(), np.abs(even - second).max())
    np.testing.assert_array_equal(even, controls(styles, (3.0, 3.0)))


def test_averages_of_normalised_embeddings_are_normalised():
    e = torch.nn.functional.normalize(torch.randn(5, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    mean = make_encoder("tiny").pool(e, torch.full((5,), 0.2))
    assert mean.norm().item() == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(mean / mean.norm(), e.mean(0) / e.mean(0).norm())


def test_intensity_zero_returns_the_input(tmp_path, command, checkpoint, recordings):
    out = tmp_path / "out.wav"
    status, *_ = command("transfer", *recordings[:2], "-o", out, "--model", checkpoint, "--intensity", 0, "--loudness", "as-is")
    assert status == 0
    np.testing.assert_array_equal(soundfile.read(out, dtype="float32")[0], soundfile.read(recordings[0], dtype="float32")[0])


@pytest.mark.parametrize(("word", "index"), [("input", 0), ("reference", 1)])
def test_output_is_as_loud_as_asked(tmp_path, command, checkpoint, recordings, word, index):
    import pyloudnorm

    out = tmp_path / "out.wav"
    args = ("--loudness", word, "--true-peak", "off")
    assert command("transfer", *recordings[:2], "-o", out, "--model", checkpoint, *args)[0] == 0
    read = [soundfile.read(path) for path in (recordings[index], out)]
    wanted, got = (pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(audio) for audio, rate in read)
    assert got == pytest.approx(wanted, abs=0.01)


def test_confidence_says_how_far_windows_agree(tool, tmp_path, recordings):
    """A recording that changes half-way spreads more than a steady one."""
    rate = 24000
    steady = write(tmp_path / "steady.wav", np.tile(speech_like(5.5, rate, seed=1), 4), rate)
    dull = np.cumsum(speech_like(22, rate, seed=4), axis=1)
    dull = (0.4 * dull / np.abs(dull).max()).astype(np.float32)
    mixed = write(tmp_path / "mixed.wav", np.concatenate([dull, np.diff(speech_like(22, rate, seed=1))], axis=1), rate)
    spreads = [tool.settings(p, steady).about["confidence"]["curve_spread_db"]["parametric_eq"] for p in (steady, mixed)]
    assert spreads[1] > 2 * spreads[0]


def test_clamped_cutoffs_are_reported(tmp_path):
    chain = deepafx_st_chain()
    settings = chain.complete(None)
    settings[0]["settings"].update(high_shelf_cutoff_hz=23000.0, high_shelf_gain_db=6.0)
    style = StyleSettings.of(chain, settings, sample_rate=16000.0)
    style.save(tmp_path / "s.json")
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["effects"][0]["clamped"] == {"high_shelf_cutoff_hz": 21600.0}
    assert data["effects"][0]["settings"]["high_shelf_cutoff_hz"] == 23000.0
    assert load_settings(tmp_path / "s.json").settings == style.settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other"), "stylefx-settings"),
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d.update(effects={}), "must be a list"),
        (lambda d: d["effects"][1].update(effect="compresor"), "compressor"),
        (lambda d: d["effects"][1]["settings"].update(ratio="4"), "ratio is '4'"),
        (lambda d: d["effects"][1]["settings"].update(ratio=0.5), "ratio"),
        (lambda d: d["effects"][1]["settings"].update(thresh=-3), "thresh"),
        (lambda d: d.update(output_gain_db=None), "output_gain_db"),
    ],
)
def test_damaged_settings_are_refused_with_the_place(tmp_path, change, message):
    data = StyleSettings.of(deepafx_st_chain(), None, sample_rate=24000.0).to_dict()
    change(data)
    (tmp_path / "s.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=message) as error:
        load_settings(tmp_path / "s.json")
    assert "s.json" in str(error.value)


def test_recordings_that_differ_in_their_ending_keep_it_in_the_name(tmp_path):
    from stylefx.inference.folder.plan import plan_folder

    (tmp_path / "takes" / "sub").mkdir(parents=True)
    for name in ("a.wav", "a.flac", "sub/b.mp3"):
        (tmp_path / "takes" / name).touch()
    names = [str(job.output.relative_to(tmp_path / "out")) for job in plan_folder(tmp_path / "takes", tmp_path / "out").jobs]
    assert sorted(names) == ["a-flac.flac", "a-wav.wav", "sub/b.flac"]


def test_five_lines_of_python(tmp_path, checkpoint, recordings):
    from stylefx.inference.api import StyleTransfer, TransferOptions, load_settings, render_file

    tool = StyleTransfer(checkpoint)
    done = tool.transfer(recordings[0], [recordings[1]], tmp_path / "styled.wav", TransferOptions(intensity=0.8))
    assert np.isfinite(done.rendered.output.lufs)
    again = render_file(recordings[0], load_settings(tmp_path / "styled.json"), tmp_path / "again.wav")
    assert again.style.settings == done.style.settings
    assert (tmp_path / "styled.wav").read_bytes() == (tmp_path / "again.wav").read_bytes()
