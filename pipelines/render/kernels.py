"""The compiled kernels that a manifest can need, loaded before any sample."""

from __future__ import annotations

import functools

from pipelines.manifest.model import Manifest


@functools.lru_cache(maxsize=2)
def kernels_loaded(manifest_json: str) -> None:
    """``load_kernels`` once per process, and in none that was forked from one that did."""
    load_kernels(Manifest.model_validate_json(manifest_json))


def load_kernels(manifest: Manifest) -> None:
    """Measure, render and store a moment of noise with all that the manifest can draw: what was compiled before on this machine
    is loaded, what was not is compiled and kept, once instead of in every worker."""
    import numpy as np

    from pipelines.catalog.measure import RecordingMeter
    from stylefx.audio import integrated_lufs, pitch_tempo
    from stylefx.audio.loudness import integrated_lufs_together
    from stylefx.audio.writing import decode_audio, encode_audio
    from stylefx.effects.registry import make_effect
    from stylefx.effects.side_by_side import render_two

    rate, channels = manifest.segment.sample_rate, manifest.segment.channels
    noise = np.random.default_rng(0).standard_normal((channels, rate // 2)).astype(np.float32) * np.float32(0.1)
    noise[:, : rate // 4] *= np.float32(0.01)  # then it is an attack, which the vocoder has loops for
    meter = RecordingMeter(rate, channels)
    meter.add(noise)
    meter.measures()
    integrated_lufs(noise, rate)
    integrated_lufs_together([noise, noise], rate)
    decode_audio(encode_audio(noise, rate, manifest.audio_format, over="scale"))
    if manifest.augment.used_engine == "vocoder":
        pitch_tempo(noise, rate, 100.0, 1.1)
    chains = manifest.resolved_chains
    steps = [*(chains.clean or ()), *(chains.input or ()), *(chains.target or ()), *(chains.finish or ())]
    steps += [step for style in chains.styles or () for step in style.target]
    for name, config in {(s.effect, repr(s.config)): (s.effect, s.config) for s in steps if s.step == "effect"}.values():
        effect = make_effect(name, **config)
        # not the defaults: what is neutral is left out and would not be compiled
        settings = {p.name: p.from_control(0.25) for p in effect.parameters}
        effect.render(noise, settings, rate)
        if manifest.store != "dry":
            render_two((effect, effect), (noise, noise), (settings, settings), rate)
