"""The compiled kernels that a manifest can need, loaded before any sample."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from pipelines.manifest.model import Manifest

FIRST = "loudness"  # the part that is compiled fastest


@functools.lru_cache(maxsize=2)
def kernels_loaded(manifest_json: str) -> None:
    """``load_kernels`` once per process, and in none that was forked from one that did."""
    load_kernels(Manifest.model_validate_json(manifest_json))


def load_kernels(manifest: Manifest) -> None:
    """Measure, render and store a moment of noise with all that the manifest can draw: what was compiled before on this machine
    is loaded, what was not is compiled and kept, once instead of in every worker."""
    for load in parts_of(manifest).values():
        load()


def load_part(manifest_json: str, part: str) -> None:
    """One of the parts."""
    parts_of(Manifest.model_validate_json(manifest_json))[part]()


def parts_of(manifest: Manifest) -> dict[str, Callable[[], None]]:
    """What ``load_kernels`` does, by name; after the first those that take longest to compile lead."""
    rate, channels = manifest.segment.sample_rate, manifest.segment.channels
    noise = np.random.default_rng(0).standard_normal((channels, rate // 2)).astype(np.float32) * np.float32(0.1)
    noise[:, : rate // 4] *= np.float32(0.01)  # then it is an attack, which the vocoder has loops for
    parts: dict[str, Callable[[], None]] = {FIRST: functools.partial(_measure, noise, rate)}
    parts["encoding"] = functools.partial(_encode, noise, rate, manifest.audio_format)
    if manifest.augment.used_engine == "vocoder":
        parts["vocoder"] = functools.partial(_stretch, noise, rate)
    if manifest.audio_format.startswith("flac"):
        parts["decoding"] = functools.partial(_decode, noise, rate)
    chains = manifest.resolved_chains
    steps = [*(chains.clean or ()), *(chains.input or ()), *(chains.target or ()), *(chains.finish or ())]
    steps += [step for style in chains.styles or () for step in style.target]
    pairs = manifest.store != "dry"
    for number, step in enumerate({(s.effect, repr(s.config)): s for s in steps if s.step == "effect"}.values()):
        parts[f"effect {number}"] = functools.partial(_render, step.effect, step.config, noise, rate, pairs)
    return parts


def _measure(noise: np.ndarray, rate: int) -> None:
    from pipelines.catalog.measure import RecordingMeter
    from stylefx.audio import integrated_lufs
    from stylefx.audio.loudness import integrated_lufs_together

    meter = RecordingMeter(rate, len(noise))
    meter.add(noise)
    meter.measures()
    integrated_lufs(noise, rate)
    integrated_lufs_together([noise, noise], rate)


def _encode(noise: np.ndarray, rate: int, audio_format: str) -> None:
    from stylefx.audio.writing import encode_audio

    encode_audio(noise, rate, audio_format, over="scale")


def _decode(noise: np.ndarray, rate: int) -> None:
    """FLAC by another encoder: ours need not be compiled for it."""
    import soundfile

    from stylefx.audio.writing import decode_audio

    file = io.BytesIO()
    soundfile.write(file, noise.T, rate, format="FLAC", subtype="PCM_24")
    decode_audio(file.getvalue())


def _stretch(noise: np.ndarray, rate: int) -> None:
    from stylefx.audio import pitch_tempo

    pitch_tempo(noise, rate, 100.0, 1.1)


def _render(name: str, config: dict[str, Any], noise: np.ndarray, rate: int, pairs: bool) -> None:
    from stylefx.effects.registry import make_effect
    from stylefx.effects.side_by_side import render_two

    effect = make_effect(name, **config)
    # not the defaults: what is neutral is left out and would not be compiled
    settings = {p.name: p.from_control(0.25) for p in effect.parameters}
    effect.render(noise, settings, rate)
    if pairs:
        render_two((effect, effect), (noise, noise), (settings, settings), rate)
