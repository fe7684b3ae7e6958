"""Every effect in its variants, and the corners of their settings: what exactness is claimed for, in every form."""

from __future__ import annotations

from stylefx.effects.registry import make_effect

ALL_KINDS = [{"kind": k} for k in ("high_pass", "low_shelf", "peak", "notch", "high_shelf", "low_pass", "peak")]
VARIANTS = [
    ("parametric_eq", {"ranges": "deepafx-st"}),
    ("parametric_eq", {"ranges": "full-band"}),
    ("parametric_eq", {"bands": ALL_KINDS}),
    ("graphic_eq", {"bands": "octave"}),
    ("graphic_eq", {"bands": "third_octave"}),
    ("compressor", {}),
    ("expander", {}),
    ("gate", {}),
    ("limiter", {}),
    ("limiter", {"lookahead_ms": 1.3}),
    ("multiband_compressor", {"num_bands": 2}),
    ("multiband_compressor", {"num_bands": 3}),
    ("multiband_compressor", {"num_bands": 4}),
    ("gain", {}),
    ("stereo_width", {}),
    ("pan", {}),
    ("saturation", {}),
    ("delay", {}),
    ("reverb", {}),
    ("reverb", {"size": 0.5, "predelay_ms": 12.5}),
]
VARIANT_IDS = [f"{i}-{name}" for i, (name, _) in enumerate(VARIANTS)]
RATES = (24000, 44100, 48000, 96000)

_DYNAMICS = {
    "fastest attack": {"attack_ms": 0.1},
    "slowest release": {"release_ms": 1000.0},
    "release faster than attack": {"attack_ms": 100.0, "release_ms": 5.0},
    "equal times": {"attack_ms": 20.0, "release_ms": 20.0},
    "hard knee": {"knee_db": 0.0},
    "beyond the ranges": {"threshold_db": -95.0, "attack_ms": 0.01, "release_ms": 5000.0, "knee_db": 40.0},
}


def _low_q(kind: str, gain_db: float) -> dict[str, float]:
    return {f"{kind}_gain_db": gain_db, f"{kind}_cutoff_hz": 20.0, f"{kind}_q": 10.0}


def corners(name: str) -> dict[str, dict[str, float]]:
    """Settings at which an implementation breaks first, by what they are; empty where there are none."""
    if name == "parametric_eq":
        kinds = ("low_shelf", "band1", "high_shelf")
        return {f"20 Hz, Q 10, {g:+.0f} dB, {k}": _low_q(k, g) for k in kinds for g in (24.0, -24.0)}
    if name in ("compressor", "expander"):
        return {title: {"threshold_db": -30.0, "ratio": 8.0, **corner} for title, corner in _DYNAMICS.items()}
    if name == "gate":
        return {title: {"threshold_db": -30.0, **corner} for title, corner in _DYNAMICS.items()}
    if name == "limiter":
        return {"full drive": {"gain_db": 24.0, "ceiling_db": -24.0, "release_ms": 5.0}}
    if name == "saturation":
        return {"full drive": {"drive_db": 48.0, "bias": 1.0, "mix": 1.0}, "no drive": {"drive_db": -60.0, "mix": 1.0}}
    if name == "delay":
        return {"shortest": {"time_ms": 0.01, "feedback": 0.95, "mix": 1.0}, "negative": {"feedback": -0.95, "mix": 0.5}}
    if name == "reverb":
        return {
            "shortest": {"decay_s": 0.1, "high_decay_ratio": 0.1, "mix": 1.0},
            "longest": {"decay_s": 10.0, "high_decay_ratio": 1.0, "mix": 1.0},
        }
    return {}


def make(variant: tuple[str, dict]):
    return make_effect(variant[0], **variant[1])
