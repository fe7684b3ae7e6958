"""Rendering: steps do what they say and write down what they did; clips do not depend on their neighbours."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.plan.file import plan_overview
from pipelines.plan.samples import PlannedSample, RecordingPart, read_shard
from pipelines.render.decode import Decoder
from pipelines.render.encode import encode
from pipelines.render.sample import render_sample
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.recipes.steps import Filtered, apply_steps, protect
from tests.support.builds import HALF, RATE, manifest_for, tone_bursts, write_sources

NOISE = (0.1 * np.random.default_rng(0).standard_normal((1, 2 * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """(manifest with the dry branch in float32, all planned samples) of speakers with WAV, FLAC and Vorbis files."""
    folder = tmp_path_factory.mktemp("render")
    manifest = manifest_for(write_sources(folder / "voices"), folder / "c", store="both", audio_format="float32")
    prepare(manifest, manifest.output, PrepareOptions(workers=0))
    plan = Path(manifest.output) / "plan-0000.parquet"
    return manifest, [s for shard in plan_overview(plan) for s in read_shard(plan, shard.number)]


def decode(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)[0].T


def decibels(error: np.ndarray, signal: np.ndarray) -> float:
    return 10 * np.log10(np.mean(error**2) / np.mean(signal**2) + 1e-30)


def test_the_recorded_steps_turn_the_dry_halves_into_the_stored_ones(planned):
    """Each effect with its recorded settings and each recorded gain, applied again in float64 around the effects."""
    manifest, samples = planned
    for sample in samples[:12]:
        rendered = render_sample(manifest, sample)
        dry = np.concatenate([decode(rendered.members[f"{h}.dry.wav"]) for h in "ab"], axis=1)
        for branch in ("input", "target"):
            audio = dry
            for step in json.loads(json.dumps(rendered.document))[branch]:
                if step["step"] == "effect":
                    effect = make_effect(step["effect"], **step["config"])
                    audio = effect.render(audio.astype(np.float32), step["settings"], RATE).astype(np.float64)
                elif step["step"] in ("normalise", "scale"):
                    audio = audio * 10 ** (step["gain_db"] / 20)
                else:
                    frames = round(step["ms"] * 1e-3 * RATE)
                    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(frames) + 0.5) / frames)
                    audio = audio.copy()
                    audio[:, :frames] *= ramp
                    audio[:, -frames:] *= ramp[::-1]
            stored = np.concatenate([decode(rendered.members[f"{h}.{branch}.wav"]) for h in "ab"], axis=1)
            assert decibels(audio - stored, stored) < -110


def test_a_clip_does_not_depend_on_what_else_the_shard_holds(planned):
    """Alone, with all others, in any order, and with no room to keep anything: the same samples."""
    _, samples = planned
    assert {Path(p.recording).suffix for s in samples for p in s.parts} == {".wav", ".flac", ".ogg"}
    together, tight = Decoder(RATE, 1), Decoder(RATE, 1, kept_bytes=0)
    together.expect(reversed(samples))
    tight.expect(samples)
    for sample in reversed(samples):
        alone = Decoder(RATE, 1).clip(sample)
        assert alone.shape == (1, sample.read_frames)
        assert np.array_equal(together.clip(sample), alone)
        assert np.array_equal(tight.clip(sample), alone)


def test_vorbis_clips_are_those_of_a_decode_from_the_start(planned):
    """No seeking: compared with a whole decode, cut in memory."""
    _, samples = planned
    part = next(p for s in samples for p in s.parts if p.recording.endswith(".ogg") and p.start_frame > 0)
    whole, _ = soundfile.read(part.uri, dtype="float32", always_2d=True)
    decoder = Decoder(RATE, 1)
    decoder.expect(samples)
    found = decoder._stretch(part)
    assert np.array_equal(found, whole.T[:, part.start_frame : part.start_frame + part.num_frames])


def test_memory_of_kept_stretches_is_bounded(planned):
    _, samples = planned
    decoder = Decoder(RATE, 1, kept_bytes=400_000)
    decoder.expect(samples)
    for sample in samples:
        decoder.clip(sample)
        assert sum(a.nbytes for a in decoder._kept.values()) <= 400_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate": 8001}, "the catalog says 8001"),
        ({"sha256": "0" * 64}, "changed since it was scanned"),
        ({"uri": "/nowhere/x.wav"}, "is gone"),
        ({"start_frame": 10**9}, "were asked for"),
    ],
)
def test_recordings_that_are_not_as_planned_are_refused(planned, change, message):
    manifest, samples = planned
    sample = samples[0]
    wrong = replace(sample, parts=(replace(sample.parts[0], **change), *sample.parts[1:]))
    with pytest.raises(UserError, match=message):
        render_sample(manifest, wrong)


@pytest.mark.parametrize("level", [{"peak_dbfs": -12.0}, {"lufs": -23.0}, {"lufs": -23.0, "meter": "pyloudnorm"}])
def test_levels_are_met_and_their_gain_is_recorded(level):
    import pyloudnorm

    audio, (step,) = apply_steps(NOISE, [{"step": "normalise", **level}], RATE)
    assert np.allclose(audio, NOISE * 10 ** (step["gain_db"] / 20), rtol=1e-6)
    if "lufs" in level:
        meter = pyloudnorm.Meter(RATE, filter_class="K-weighting" if "meter" in level else "DeMan")
        assert meter.integrated_loudness(audio[0].astype(float)) == pytest.approx(-23.0, abs=1e-4)
        assert step.get("meter") == level.get("meter")
    else:
        assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(-12.0, abs=1e-4)


def test_silence_is_filtered_not_amplified():
    with pytest.raises(Filtered, match="silent"):
        apply_steps(np.zeros((1, 100), np.float32), [{"step": "normalise", "peak_dbfs": -12.0}], RATE)


def test_unknown_steps_are_refused():
    with pytest.raises(UserError, match="there is no step 'reverse'"):
        apply_steps(NOISE, [{"step": "reverse"}], RATE)


@pytest.mark.parametrize("audio_format", ["flac16", "flac24", "pcm16"])
@pytest.mark.parametrize("peak", [0.5, 1.0, 1.7, 60.0])
def test_no_fixed_point_format_ever_clips(audio_format, peak):
    """Audio above full scale is scaled and the gain recorded; the stored file is the scaled audio to half a step."""
    bits = 24 if audio_format == "flac24" else 16
    audio = NOISE * np.float32(peak / np.abs(NOISE).max())
    out, steps = protect(audio, [], bits)
    gain = 10 ** (sum(s["gain_db"] for s in steps) / 20)
    assert (gain == 1.0) if peak < 1.0 else (0.999 / peak < gain <= 1.0)  # and no quieter than need be
    stored = decode(encode(out, RATE, audio_format))
    assert np.abs(stored - audio * gain).max() <= 0.5001 * 2.0 ** (1 - bits) + 2e-7 * peak


def test_float_files_keep_what_exceeds_full_scale():
    audio = NOISE * 40
    out, steps = protect(audio, [], 0)
    assert steps == []
    assert np.array_equal(decode(encode(out, RATE, "float32")), audio.astype(np.float64))


@pytest.mark.parametrize("audio_format", ["flac16", "flac24", "pcm16", "float32"])
def test_files_are_reproducible_and_of_their_kind(audio_format):
    import time

    audio = tone_bursts(0.5, RATE, 3, channels=2).T
    first = encode(audio, RATE, audio_format)
    time.sleep(1.1)  # libsndfile would stamp a float file with the second
    assert encode(audio, RATE, audio_format) == first
    info = soundfile.info(io.BytesIO(first))
    subtype = {"flac16": "PCM_16", "flac24": "PCM_24", "pcm16": "PCM_16", "float32": "FLOAT"}[audio_format]
    assert (info.subtype, info.channels, info.samplerate, info.frames) == (subtype, 2, RATE, RATE // 2)


def test_halves_are_the_two_parts_of_one_branch(planned):
    manifest, samples = planned
    rendered = render_sample(manifest, samples[0])
    for branch, audio in rendered.branches.items():
        assert audio.shape == (1, 2 * HALF)
        halves = [decode(rendered.members[f"{h}.{branch}.wav"]) for h in "ab"]
        assert np.array_equal(np.concatenate(halves, axis=1), audio.astype(np.float64))


def test_further_augmentations_are_reproducible_and_leave_the_random_state_alone(planned):
    import random

    from pipelines.render.augment import augment

    extra = {"name": "AddGaussianNoise", "parameters": {"min_amplitude": 0.01, "max_amplitude": 0.01}, "seed": 5}
    recipe = {"pitch_cents": 0.0, "tempo": 1.0, "engine": "signalsmith", "extra": [extra]}
    random.seed(1)
    before = random.getstate()
    first = augment(NOISE, recipe, RATE, NOISE.shape[1])
    assert random.getstate() == before
    assert np.array_equal(augment(NOISE, recipe, RATE, NOISE.shape[1]), first)
    assert np.std(first - NOISE) == pytest.approx(0.01, rel=0.05)
    assert not np.array_equal(augment(NOISE, {**recipe, "extra": [{**extra, "seed": 6}]}, RATE, NOISE.shape[1]), first)


def test_a_large_recording_that_changed_since_the_scan_is_named_and_hashed_once_by_a_machine(tmp_path, monkeypatch):
    """Its size and its rate are as they were; one that did not change is read once for all shards and workers."""
    from pipelines.render import decode
    from pipelines.sources import unchanged

    monkeypatch.setenv("STYLEFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decode, "_HASHED_BYTES", 1000)
    audio = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    path = tmp_path / "long.wav"
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    scanned = hashlib.sha256(path.read_bytes()).hexdigest()
    part = RecordingPart("s/long.wav", str(path), scanned, RATE, 1, 0, 1000)
    sample = PlannedSample("k", "train", "s", "g", "", "", "", 0, (part,), 0.0, 1.0, 1000)
    hashed = []
    sha256 = unchanged.file_sha256
    monkeypatch.setattr(unchanged, "file_sha256", lambda uri: hashed.append(uri) or sha256(uri))
    for _ in range(3):  # as many workers
        decoder = Decoder(RATE, 1)
        decoder.expect([sample])
        decoder.check_large([sample])
        assert decoder.clip(sample).shape == (1, 1000)
    assert hashed == [str(path)]
    soundfile.write(path, -audio, RATE, subtype="FLOAT")
    decoder.expect([sample])
    decoder.check_large([sample])
    with pytest.raises(UserError, match=r"s/long\.wav changed since it was scanned; restore it, or scan and plan again"):
        decoder.clip(sample)
