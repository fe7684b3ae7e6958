"""Blocks equal the whole, loudness and true peak come out as asked, and files appear whole or not at all."""

import subprocess
import sys

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy import signal

from stylefx.effects.presets import deepafx_st_chain
from stylefx.errors import UserError
from stylefx.inference.rendering import file as rendering
from stylefx.inference.rendering.file import Loudness, render_file
from stylefx.inference.rendering.meter import Meter
from stylefx.inference.settings_file import StyleSettings, load_settings
from tests.inference.conftest import speech_like, write


def style(sample_rate: float = 44100.0, seed: int = 1, **more) -> StyleSettings:
    chain = deepafx_st_chain()
    settings = chain.settings(np.random.default_rng(seed).uniform(0.2, 0.8, chain.num_controls))
    return StyleSettings.of(chain, settings, sample_rate=sample_rate, **more)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_give_the_samples_of_the_whole(tmp_path, rate, channels):
    audio = speech_like(5, rate, channels=channels)
    source = write(tmp_path / "in.wav", audio, rate)
    done = render_file(source, style(rate), tmp_path / "out.wav", loudness=Loudness(ceiling_dbtp=None))
    out, out_rate = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert (out_rate, out.shape, done.frames) == (rate, audio.T.shape, audio.shape[1])
    np.testing.assert_array_equal(out.T, deepafx_st_chain().render(audio, style(rate).settings, rate))


def test_effects_that_look_ahead_stay_aligned(tmp_path):
    from stylefx.effects.chain import EffectChain
    from stylefx.effects.registry import effect_names, make_effect

    if "limiter" not in effect_names():
        pytest.skip("no effect looks ahead yet")
    audio, chain = speech_like(3, 24000), EffectChain.of(make_effect("limiter"))
    process = chain.start(None, 24000, 1)
    assert process.latency > 0
    source = write(tmp_path / "in.wav", audio, 24000)
    render_file(source, StyleSettings.of(chain, None), tmp_path / "out.wav", loudness=Loudness(ceiling_dbtp=None))
    out, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(out.T, chain.render(audio, None, 24000))


@pytest.mark.parametrize("bits", ["16", "24"])
def test_fixed_point_is_the_nearest_value(tmp_path, bits):
    audio = speech_like(1, 24000)
    source = write(tmp_path / "in.wav", audio, 24000)
    quiet = style(24000, output_gain_db=-30.0)
    render_file(source, quiet, tmp_path / "out.flac", bits=bits, loudness=Loudness(ceiling_dbtp=None))
    out, _ = soundfile.read(tmp_path / "out.flac", dtype="float64")
    expected = deepafx_st_chain().render(audio, quiet.settings, 24000)[0] * np.float32(10 ** (-30 / 20))
    assert np.abs(out - expected).max() <= 0.5000001 / 2 ** (int(bits) - 1)


@pytest.mark.parametrize("target", [-30.0, -14.0])
def test_the_output_has_the_loudness_asked_for(tmp_path, target):
    rate = 48000
    source = write(tmp_path / "in.wav", speech_like(6, rate, channels=2), rate)
    done = render_file(source, style(rate), tmp_path / "out.wav", loudness=Loudness(target, None))
    out, _ = soundfile.read(tmp_path / "out.wav")
    assert pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(out) == pytest.approx(target, abs=0.01)
    assert done.output.lufs == pytest.approx(target, abs=1e-6)


def true_peak_reference(audio: np.ndarray) -> float:
    """scipy's 16 times oversampling, dB; audio (channels, n)."""
    return 20 * np.log10(np.abs(signal.resample_poly(audio.astype(np.float64), 16, 1, axis=1, window=("kaiser", 12.0))).max())


def test_the_guard_keeps_the_true_peak_below_its_ceiling(tmp_path):
    rate = 44100
    source = write(tmp_path / "in.wav", 1.9 * speech_like(4, rate, channels=2), rate)
    free = render_file(source, style(rate, output_gain_db=9.0), tmp_path / "free.wav", loudness=Loudness(ceiling_dbtp=None))
    assert free.output.true_peak_dbtp > 0
    done = render_file(
        source, style(rate, output_gain_db=9.0), tmp_path / "out.wav", loudness=Loudness(ceiling_dbtp=-1.0, peaks="gain")
    )
    out, _ = soundfile.read(tmp_path / "out.wav", always_2d=True)
    assert done.guard_gain_db < 0
    assert done.output.true_peak_dbtp == pytest.approx(-1.0, abs=1e-6)
    assert true_peak_reference(out.T) == pytest.approx(-1.0, abs=0.35)  # BS.1770's interpolator reads up to 0.3 dB less


def test_without_a_guard_fixed_point_files_still_do_not_clip(tmp_path):
    source = write(tmp_path / "in.wav", speech_like(2, 24000), 24000)
    loud = style(24000, output_gain_db=30.0)
    done = render_file(source, loud, tmp_path / "out.wav", bits="16", loudness=Loudness(ceiling_dbtp=None))
    out, _ = soundfile.read(tmp_path / "out.wav", dtype="float64")
    expected = deepafx_st_chain().render(speech_like(2, 24000), loud.settings, 24000)[0].astype(float)
    gain = 10 ** (done.style.output_gain_db / 20)
    assert 0.99 < np.abs(out).max() < 1.0
    np.testing.assert_allclose(out, expected * gain, atol=1e-4)


@pytest.mark.parametrize("peaks", ["gain", "limiter"])
def test_rendering_with_the_settings_that_were_applied_gives_the_same_bytes(tmp_path, peaks):
    source = write(tmp_path / "in.wav", 1.9 * speech_like(2, 24000), 24000)
    done = render_file(source, style(24000, output_gain_db=12.0), tmp_path / "a.wav", loudness=Loudness(peaks=peaks))
    assert min(done.guard_gain_db, -done.limiter_db) < 0
    done.style.save(tmp_path / "s.json")
    again = render_file(source, load_settings(tmp_path / "s.json"), tmp_path / "b.wav")
    assert again.guard_gain_db == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("offset", [0.25, 0.5])
def test_true_peak_finds_what_lies_between_samples_in_any_blocks(offset):
    """A sine at a quarter of the rate, sampled off its crests (ITU-R BS.1770-4, annex 2)."""
    n = np.arange(4800)
    audio = (0.7 * np.sin(2 * np.pi * n / 4 + np.pi * offset / 2))[None].astype(np.float32)
    readings = []
    for block in (4800, 7, 512):
        meter = Meter(48000, 1)
        for start in range(0, audio.shape[1], block):
            meter(audio[:, start : start + block])
        readings.append(meter.reading())
    assert readings[0].true_peak_dbtp == pytest.approx(20 * np.log10(0.7), abs=0.2)
    assert readings[0].peak_dbfs < 20 * np.log10(0.7) - 0.5
    for reading in readings[1:]:
        assert reading.true_peak_dbtp == readings[0].true_peak_dbtp


def test_skipping_quiet_stretches_does_not_change_the_true_peak(monkeypatch):
    from stylefx.inference.rendering import meter as module

    audio = speech_like(3, 44100, channels=2)
    found = []
    for bound in (module._BOUND, 1e9):
        monkeypatch.setattr(module, "_BOUND", bound)
        meter = Meter(44100, 2)
        meter(audio)
        found.append(meter.reading().true_peak_dbtp)
    assert found[0] == found[1]


def test_memory_does_not_grow_with_the_length(tmp_path, monkeypatch):
    """Only one block is ever asked of the reader or held by the writer."""
    sizes = []
    real = rendering.stream

    def watched(reader, style, listen=None):
        for block in real(reader, style, listen):
            sizes.append(block.shape[1])
            yield block

    monkeypatch.setattr(rendering, "stream", watched)
    render_file(write(tmp_path / "in.wav", speech_like(20, 24000), 24000), style(24000), tmp_path / "out.wav")
    assert max(sizes) <= 1 << 16
    assert len(sizes) >= 8


def test_the_output_may_not_be_the_input(tmp_path):
    source = write(tmp_path / "in.wav", speech_like(1, 24000), 24000)
    before = source.read_bytes()
    with pytest.raises(UserError, match="is the input itself"):
        render_file(source, style(), source)
    assert source.read_bytes() == before


def test_render_needs_no_torch(tmp_path):
    source = write(tmp_path / "in.wav", speech_like(1, 24000), 24000)
    style(24000).save(tmp_path / "s.json")
    code = (
        "import sys; from stylefx.cli import cli\n"
        f"cli(['render', {str(source)!r}, '--settings', {str(tmp_path / 's.json')!r}, '-o', {str(tmp_path / 'o.wav')!r}], "
        "standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (tmp_path / "o.wav").exists()
