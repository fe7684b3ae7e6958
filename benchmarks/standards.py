"""The figures of docs/measurements/exactness.md: errors against independent references, worst cases and where they are.

python -m benchmarks.standards
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyloudnorm
import scipy.signal
import torch

from stylefx.audio.loudness import integrated_lufs
from stylefx.audio.weighting import k_weighting
from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.operators import dynamics
from stylefx.effects.chain import EffectChain
from stylefx.effects.kernels.biquad import KINDS, design
from stylefx.effects.registry import make_effect
from tests.support.effect_references import REFERENCES, cookbook, programme
from tests.support.libebur128 import libebur128_lufs

TABLE = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
TABLE += (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def loudness() -> None:
    """Noise under random levels, 40 signals a rate, against libebur128; pyloudnorm's meter is what was used before."""
    print(f"K-weighting at 48 kHz, largest difference from the table: {np.abs(k_weighting(48000.0) - TABLE).max():.1e}")
    rng = np.random.default_rng(0)
    for rate in (8000, 16000, 24000, 44100, 48000, 96000, 192000):
        ours, before = [], []
        for i in range(40):
            frames = round(rng.uniform(0.4, 11.0) * rate)
            level = np.repeat(rng.random(frames // (rate // 10) + 1) ** 4, rate // 10)[:frames]
            audio = (0.2 * level * rng.standard_normal(frames))[None].astype(np.float32)
            if i % 2:
                audio = (0.05 * scipy.signal.lfilter([1], [1, -0.97], audio)).astype(np.float32)
            truth = libebur128_lufs(audio, rate)
            if math.isfinite(truth):
                ours.append(integrated_lufs(audio, rate) - truth)
                before.append(pyloudnorm.Meter(rate).integrated_loudness(audio[0].astype(float)) - truth)
        ours, before = np.array(ours), np.array(before)
        print(
            f"loudness at {rate} Hz: largest error {np.abs(ours).max():.1e} LU;"
            f" by pyloudnorm's meter mean {before.mean():+.3f}, largest {np.abs(before).max():.3f} LU"
        )


def neutral_gradients() -> None:
    """Gradient of the L2 distance to a compressed target at the neutral setting, over the reference's one-sided difference."""
    audio = programme(np.random.default_rng(4), 1, 24000).astype(np.float64)
    upstream = np.random.default_rng(5).standard_normal(audio.shape)
    for name, parameter, more in (
        ("compressor", "ratio", {}),
        ("expander", "ratio", {}),
        ("expander", "range_db", {"ratio": 3.0}),
    ):
        effect, factors = make_effect(name), {}
        for floor in (0.0, dynamics.NEUTRAL):
            found = []
            for attack_ms, release_ms in ((0.5, 1000.0), (1.0, 300.0), (10.0, 100.0), (50.0, 50.0), (100.0, 5.0)):
                neutral = {p.name: p.minimum for p in effect.parameters}[parameter]
                settings = effect.complete({"attack_ms": attack_ms, "release_ms": release_ms, **more, parameter: neutral})
                leaf = torch.tensor([neutral], dtype=torch.float64, requires_grad=True)
                kept, dynamics.NEUTRAL = dynamics.NEUTRAL, floor
                out = DifferentiableChain(EffectChain.of(effect)).render(
                    torch.tensor(audio[None]), [settings | {parameter: leaf}], 24000
                )
                dynamics.NEUTRAL = kept
                gradient = torch.autograd.grad((out * torch.tensor(upstream)).sum(), leaf)[0].item()
                values = [REFERENCES[name](effect, audio, settings | {parameter: neutral + h}, 24000) for h in (0.0, 1e-6, 2e-6)]
                difference = (upstream * (4.0 * (values[1] - values[0]) - (values[2] - values[0]))).sum() / 2e-6
                found.append(gradient / difference)
            factors[floor] = found
        before, now = factors.values()
        print(
            f"{name}, d/d {parameter} at its neutral end, over the difference: {min(now):.6f} to {max(now):.6f};"
            f" a tie as release {min(before):.3f} to {max(before):.3f}"
        )


def low_rates() -> None:
    """Bands above 0.9 Nyquist against the cookbook's filter at 48 kHz, below 0.45 of the rate; clamped as before."""
    for kind in KINDS:
        worst, clamped = (0.0, ""), 0.0
        for rate in (5000, 8000, 11025, 16000, 22050, 24000, 32000, 44100):
            freqs = np.linspace(0.002, 0.45, 300) * rate
            cutoffs = [f * rate for f in (0.4501, 0.47, 0.5, 0.6, 1.0) if f * rate < 21600]
            cutoffs += [f for f in (12000.0, 21600.0) if f > 0.45 * rate]
            gains = (-24.0, 0.0, 12.0, 24.0) if kind in ("peak", "low_shelf", "high_shelf") else (0.0,)
            for gain_db, q, cutoff_hz in itertools.product(gains, (0.1, 0.5, 0.707, 3.0, 10.0), cutoffs):
                sections = design(kind, cutoff_hz, q, rate, gain_db)
                before = design(kind, 0.45 * rate, q, rate, gain_db)
                wanted = design(kind, cutoff_hz, q, 48000, gain_db)
                if kind != "all_pass":
                    wanted = [cookbook(kind, gain_db, cutoff_hz, q, 48000)]
                now, then, truth = (
                    20 * np.log10(np.maximum(np.abs(scipy.signal.freqz_sos(np.array(s), worN=freqs, fs=fs)[1]), 1e-3))
                    for s, fs in ((sections, rate), (before, rate), (wanted, 48000))
                )
                error = float(np.abs(now - truth).max())
                clamped = max(clamped, float(np.abs(then - truth).max()))
                worst = max(worst, (error, f"{rate} Hz, {cutoff_hz:.0f} Hz, Q {q}, {gain_db:+.0f} dB"))
        print(f"{kind} above 0.9 Nyquist: largest error {worst[0]:.2f} dB ({worst[1]}); clamped {clamped:.1f} dB")


if __name__ == "__main__":
    loudness()
    neutral_gradients()
    low_rates()
