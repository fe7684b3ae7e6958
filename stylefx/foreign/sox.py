"""SoX, a process per call: ``equalizer``, ``bass``, ``treble`` and ``compand``.

SoX computes in 32-bit integers that clip at full scale after every effect, so with headroom the audio goes down first and
thresholds move with it. ``compand`` smooths the level, we the gain reduction; its times are time constants (1 - 1/e).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stylefx.effects.kernels.biquad import response
from stylefx.foreign.process import find, through, version_line
from stylefx.foreign.stages import LN9, BandStage, CompressorStage, ExpanderStage, GainStage, Stage, number

INSTALL = "apt-get install sox (macOS: brew install sox)"
_LOWEST_DB = -120.0
_OVERSHOOT_DB = 6.0


class Sox:
    name = "sox"
    effects = frozenset({"parametric_eq", "compressor", "expander", "gain"})

    def preflight(self) -> str:
        version = version_line([find(self.name, INSTALL), "--version"])
        return f"sox {version.split()[-1]}"

    def __call__(self, audio: np.ndarray, stages: Sequence[Stage], sample_rate: int, headroom: bool) -> np.ndarray:
        lowered_db = headroom_db(stages, sample_rate) if headroom else 0.0
        words, gain_db = effect_words(stages, lowered_db)
        if not headroom:
            words, gain_db = [*words, *gain_words(gain_db)], 0.0
        raw = ["-t", "f32", "-r", str(sample_rate), "-c", str(audio.shape[0]), "-"]
        out = through(self.name, [find("sox", INSTALL), "-V1", "-D", *raw, *raw, *words], audio)  # -D: no dither
        return out if gain_db == 0.0 else out * np.float32(10 ** (gain_db / 20))  # out here nothing clips


def effect_words(stages: Sequence[Stage], lowered_db: float) -> tuple[list[str], float]:
    """The words of the effects chain for audio that goes down by ``lowered_db`` first, and the gain in dB that is left to do.

    Gains are gathered, so that nothing clips on the way; thresholds move the other way.
    """
    words, carried = gain_words(-lowered_db), 0.0
    for stage in stages:
        if isinstance(stage, GainStage):
            carried += stage.gain_db
        elif isinstance(stage, BandStage):
            words += band_words(stage)
        else:
            words += compand_words(stage, stage.threshold_db - lowered_db - carried)
    return words, lowered_db + carried


def gain_words(gain_db: float) -> list[str]:
    return ["gain", number(gain_db)] if gain_db else []


def band_words(band: BandStage) -> list[str]:
    if band.sections:
        return [word for s in band.sections for word in ("biquad", *(f"{v:.12f}" for v in s))]
    f, q, gain = number(band.cutoff_hz), number(band.q) + "q", number(band.gain_db)
    return {
        "peak": ["equalizer", f, q, gain],
        "low_shelf": ["bass", gain, f, q],
        "high_shelf": ["treble", gain, f, q],
        "high_pass": ["highpass", "-2", f, q],
        "low_pass": ["lowpass", "-2", f, q],
        "notch": ["bandreject", f, q],
    }[band.kind]


def compand_words(stage: CompressorStage, threshold_db: float) -> list[str]:
    """``compand`` with the stage's curve around ``threshold_db`` (below 0: SoX hears nothing above full scale)."""
    threshold = min(threshold_db, -0.01)
    if isinstance(stage, ExpanderStage):
        slopes, lower = (stage.ratio, 1.0), _floor_points(stage, threshold)
        top, start_db = 0.0, 0.0  # from full level, that is without reduction, as ours starts
    else:
        slopes, lower = (1.0, 1 / stage.ratio), []
        top, start_db = threshold - threshold / stage.ratio, _LOWEST_DB
    radius = corner_radius(stage.knee_db, *slopes)
    if not lower:
        low = min(_LOWEST_DB, threshold - 2 * radius - 1)
        lower = [(low, low)]
    points = [*lower, (threshold, threshold), (0.0, top)]
    curve = ",".join(number(v) for point in points for v in point)
    attack, release = (number(ms / 1000 / LN9) for ms in (stage.attack_ms, stage.release_ms))
    return ["compand", f"{attack},{release}", f"{number(radius)}:{curve}", "0", number(start_db)]


def _floor_points(stage: ExpanderStage, threshold: float) -> list[tuple[float, float]]:
    """Where the expander's reduction stops at its range."""
    corner = threshold - stage.range_db / (stage.ratio - 1.0)
    return [(corner - 60.0, corner - 60.0 - stage.range_db), (corner, corner - stage.range_db)]


def corner_radius(knee_db: float, *slopes: float) -> float:
    """SoX rounds a corner along its two lines; its radius is measured on the lines, our width on the input axis."""
    reach = sum(math.cos(math.atan(slope)) for slope in slopes) / 2
    return max(knee_db / 2 / reach, 0.01)


def headroom_db(stages: Sequence[Stage], sample_rate: float) -> float:
    """Whole dB that the audio must go down for the bands not to clip: their largest joint gain and some overshoot."""
    freqs = np.geomspace(10.0, 0.499 * sample_rate, 2048)
    total = np.ones_like(freqs, dtype=complex)
    for band in (s for s in stages if isinstance(s, BandStage)):
        if band.sections:
            turns = np.exp(-2j * np.pi * freqs / sample_rate)
            for section in band.sections:
                total = total * np.polyval(section[2::-1], turns) / np.polyval(section[:2:-1], turns)
        else:
            total = total * response(band.kind, freqs, band.cutoff_hz, band.q, sample_rate, band.gain_db)
    boost = 20 * math.log10(float(np.abs(total).max()))
    return float(math.ceil(boost + _OVERSHOOT_DB)) if boost > 0.01 else 0.0
