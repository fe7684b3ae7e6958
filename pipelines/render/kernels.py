"""The compiled kernels that a manifest can need, loaded before any sample."""

from __future__ import annotations

import functools

from pipelines.manifest.model import Manifest


@functools.lru_cache(maxsize=2)
def kernels_loaded(manifest_json: str) -> None:
    """``load_kernels`` once per process, and in none that was forked from one that did."""
    load_kernels(Manifest.model_validate_json(manifest_json))


def load_kernels(manifest: Manifest) -> None:
    """Measure and render a moment of noise with all that the manifest can draw: what was compiled before on this machine is
    loaded, what was not is compiled and kept."""
    import numpy as np

    from pipelines.catalog.measure import RecordingMeter
    from stylefx.audio import integrated_lufs, pitch_tempo
    from stylefx.effects.registry import make_effect

    rate, channels = manifest.segment.sample_rate, manifest.segment.channels
    noise = np.random.default_rng(0).standard_normal((channels, rate // 2)).astype(np.float32) * np.float32(0.1)
    meter = RecordingMeter(rate, channels)
    meter.add(noise)
    meter.measures()
    integrated_lufs(noise, rate)
    if manifest.augment.used_engine == "vocoder":
        pitch_tempo(noise, rate, 100.0, 1.1)
    chains = manifest.resolved_chains
    steps = [*(chains.clean or ()), *(chains.input or ()), *(chains.target or ()), *(chains.finish or ())]
    steps += [step for style in chains.styles or () for step in style.target]
    for name, config in {(s.effect, repr(s.config)): (s.effect, s.config) for s in steps if s.step == "effect"}.values():
        effect = make_effect(name, **config)
        # not the defaults: what is neutral is left out and would not be compiled
        effect.render(noise, {p.name: p.from_control(0.25) for p in effect.parameters}, rate)
