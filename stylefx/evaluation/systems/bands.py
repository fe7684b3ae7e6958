"""Averages in 80 bands, and equaliser settings that follow a curve over them: what the closed-form baselines share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.optimize

from stylefx.audio.spectra import power_frames
from stylefx.effects.chain import EffectChain
from stylefx.effects.kernels.biquad import response
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.errors import UserError
from stylefx.evaluation.metrics.audio import loudness

BANDS = 80
LOWEST_HZ = 50.0
MAX_CURVE_DB = 24.0
_FRAME = 4096
_HALF_OCTAVES = 1 / 8
_MEAN_FLOOR, _FRAME_FLOOR = 1e-9, 1e-10  # power per band, of a Hann frame: what is below is silence
_EVALUATIONS = 40
_STEP = 1e-4
_HOLD_DB = 0.3  # what moving one control over its whole range may cost: bands that nothing asks for stay where they are


@lru_cache(maxsize=8)
def band_centres_hz(sample_rate: float) -> np.ndarray:
    """80 frequencies from 50 Hz to 0.46 of the rate, logarithmic."""
    return np.geomspace(LOWEST_HZ, 0.46 * sample_rate, BANDS)


@lru_cache(maxsize=8)
def _triangles(sample_rate: float) -> np.ndarray:
    """Weights of the bins, float64 (80, bins), each row of sum 1; where a band has no bin, its nearest one."""
    hz = np.fft.rfftfreq(_FRAME, 1.0 / sample_rate)
    centres = band_centres_hz(sample_rate)
    octaves = np.abs(np.log2(np.maximum(hz, 1.0)[None] / centres[:, None]))
    weights = np.clip(1.0 - octaves / _HALF_OCTAVES, 0.0, None)
    empty = weights.sum(1) == 0
    weights[empty, octaves[empty].argmin(axis=1)] = 1.0
    return weights / weights.sum(1, keepdims=True)


def band_averages(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """(channels, samples) -> float64 (3, 80): level of the mean power, mean level over frames, its spread; dB."""
    power = power_frames(audio, _FRAME, _FRAME // 2).mean(axis=0) @ _triangles(float(sample_rate)).T
    levels = 10 * np.log10(power + _FRAME_FLOOR)
    return np.stack([10 * np.log10(power.mean(axis=0) + _MEAN_FLOOR), levels.mean(axis=0), levels.std(axis=0)])


def fit_equaliser(chain: EffectChain, curve_db: np.ndarray, sample_rate: float) -> list[dict[str, Any]]:
    """Settings of ``chain`` whose first parametric equaliser follows a curve (80,) dB up to a constant; all else is neutral.

    Least squares on gain, cutoff and Q of the chain's own bands, from half of what the curve asks at each band's middle.
    """
    found = next(((i, e) for i, e in enumerate(chain.effects) if isinstance(e, ParametricEq)), None)
    if found is None:
        raise UserError("fitting a spectrum needs a parametric_eq in the chain; leave out the baselines spectrum-fit and ridge")
    entries, (slot, effect) = chain.complete(None), found
    wanted = np.clip(curve_db - curve_db.mean(), -MAX_CURVE_DB, MAX_CURVE_DB)
    entries[slot]["settings"] = _Bands(effect, sample_rate).fit(wanted)
    return entries


class _Bands:
    """The least-squares problem. A control moves the response of its own band only, so the slopes cost one band each."""

    def __init__(self, effect: ParametricEq, sample_rate: float):
        self.effect, self.rate = effect, sample_rate
        self.grid = band_centres_hz(float(sample_rate))
        self.names = [p.name for p in effect.parameters]
        self.neutral = np.array([p.to_control(p.default) for p in effect.parameters])

    def settings(self, controls: np.ndarray) -> dict[str, float]:
        return {p.name: p.from_control(float(c)) for p, c in zip(self.effect.parameters, controls, strict=True)}

    def band_db(self, band: tuple[Any, ...], values: dict[str, float]) -> np.ndarray:
        name, kind = band[:2]
        gain_db = values.get(f"{name}_gain_db", 0.0)
        found = response(kind, self.grid, values[f"{name}_cutoff_hz"], values[f"{name}_q"], self.rate, gain_db)
        return 20 * np.log10(np.maximum(np.abs(found), 1e-9))

    def residual(self, controls: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        values = self.settings(controls)
        off = sum(self.band_db(band, values) for band in self.effect.bands) - wanted
        return np.concatenate([off - off.mean(), _HOLD_DB * (controls - self.neutral) * math.sqrt(BANDS)])

    def slopes(self, controls: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The residual's derivative by the controls, float64 (80 + controls, controls)."""
        values = self.settings(controls)
        now = {band[0]: self.band_db(band, values) for band in self.effect.bands}
        out = np.zeros((BANDS + len(controls), len(controls)))
        for i, parameter in enumerate(self.effect.parameters):
            band = next(b for b in self.effect.bands if parameter.name.startswith(f"{b[0]}_"))
            step = _STEP if controls[i] < 0.5 else -_STEP
            moved = self.band_db(band, {**values, parameter.name: parameter.from_control(float(controls[i] + step))})
            slope = (moved - now[band[0]]) / step
            out[:BANDS, i] = slope - slope.mean()
            out[BANDS + i, i] = _HOLD_DB * math.sqrt(BANDS)
        return out

    def start(self, wanted: np.ndarray) -> np.ndarray:
        """Each band at its middle frequency with half of what the curve asks there: neighbours overlap."""
        controls = self.neutral.copy()
        for i, parameter in enumerate(self.effect.parameters):
            if parameter.name.endswith("_gain_db"):
                cutoff = self.effect.parameters[self.names.index(parameter.name.replace("_gain_db", "_cutoff_hz"))]
                asked = np.interp(math.log(cutoff.default), np.log(self.grid), wanted)
                controls[i] = parameter.to_control(0.5 * float(asked))
        return np.clip(controls, 1e-3, 1 - 1e-3)

    def fit(self, wanted: np.ndarray) -> dict[str, float]:
        found = scipy.optimize.least_squares(
            self.residual, self.start(wanted), self.slopes, bounds=(0.0, 1.0), args=(wanted,), max_nfev=_EVALUATIONS,
            xtol=1e-4, ftol=1e-4,
        )  # fmt: skip
        return self.settings(found.x)


def at_loudness_of(
    chain: EffectChain, audio: np.ndarray, entries: Sequence[dict[str, Any]], reference: np.ndarray, sample_rate: float
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Render, and set the chain's last make-up or gain so that the loudness becomes the reference's."""
    output, entries = chain.render(audio, entries, sample_rate), [dict(entry) for entry in entries]
    gain_db = loudness(reference, sample_rate) - loudness(output, sample_rate)
    names = ("makeup_gain_db", "gain_db")
    places = [(i, n) for i, entry in enumerate(entries) for n in names if n in entry["settings"]]
    if not places or not math.isfinite(gain_db):
        return output, entries
    slot, name = places[-1]
    entries[slot]["settings"] = {**entries[slot]["settings"], name: entries[slot]["settings"][name] + gain_db}
    return (output * np.float32(10 ** (gain_db / 20))).astype(np.float32), entries
