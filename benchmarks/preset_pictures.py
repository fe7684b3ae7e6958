"""What each preset does to a recording: target minus input in third octaves, and the distances of the drawn pairs.

python -m benchmarks.preset_pictures RECORDING --out docs/pictures/presets.png [--pairs 12]
"""

from __future__ import annotations

import argparse

import numpy as np
from matplotlib import pyplot

from pipelines.look.preset import stretch
from stylefx.audio.distance import mr_stft
from stylefx.audio.levels import DEFAULT_LEVEL
from stylefx.recipes.chains import Level
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import resolve_chains
from stylefx.recipes.steps import apply_steps

PRESETS = ("deepafx-st", "recovery", "styles", "production", "mastering")
CENTRES_HZ = 50.0 * 2 ** (np.arange(26) / 3)


def third_octaves(audio: np.ndarray, rate: int) -> np.ndarray:
    """Levels in dB relative to the whole."""
    power = np.abs(np.fft.rfft(audio[0] * np.hanning(audio.shape[1]))) ** 2
    hz = np.fft.rfftfreq(audio.shape[1], 1 / rate)
    bands = [power[(hz >= c * 2 ** (-1 / 6)) & (hz < c * 2 ** (1 / 6))].sum() for c in CENTRES_HZ]
    return 10 * np.log10(np.maximum(np.array(bands) / power.sum(), 1e-12))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording")
    parser.add_argument("--out", required=True)
    parser.add_argument("--pairs", type=int, default=12)
    given = parser.parse_args()
    dry, rate = stretch(given.recording)
    figure, axes = pyplot.subplots(1, len(PRESETS), figsize=(13, 3.2), sharey=True, layout="constrained")
    for preset, axis in zip(PRESETS, axes, strict=True):
        chains, drawing, far = resolve_chains(preset, None, (), rate), Drawing(0, rate, Level(peak_dbfs=DEFAULT_LEVEL.value)), []
        for number in range(given.pairs):
            recipe = drawing.recipe(chains, f"{preset}-{number}")
            clean, _ = apply_steps(dry, recipe["clean"], rate)
            source, target = (apply_steps(clean, recipe[branch], rate)[0] for branch in ("input", "target"))
            axis.semilogx(CENTRES_HZ, third_octaves(target, rate) - third_octaves(source, rate), lw=0.9, alpha=0.8)
            far.append(mr_stft(source, target))
        axis.set_title(f"{preset}\nMR-STFT {np.mean(far):.2f} ({min(far):.2f} to {max(far):.2f})", fontsize=10)
        axis.set_xticks([100, 1000, 10000], ["100", "1k", "10k"])
        axis.set_xlabel("Hz")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("target minus input, dB")
    axes[0].set_ylim(-30, 30)
    figure.savefig(given.out, dpi=90)


if __name__ == "__main__":
    main()
