"""Styles put on held-out contents: what the protocols beyond the stored pairs are made of. Keyed, like all that is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stylefx import foreign
from stylefx.audio.levels import DEFAULT_LEVEL
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.evaluation.metrics.audio import loudness, peak_level_db
from stylefx.foreign import OWN
from stylefx.keyed import Draw

LEVEL_DBFS = DEFAULT_LEVEL.value
Range = tuple[float, float]

#: The five styles of the paper: ranges of threshold dB, ratio, attack ms, release ms (None: no compression), and per band
#: gain dB and cutoff Hz. Q 0.707, knee 0, make-up 0 everywhere.
STYLES: dict[str, dict[str, tuple[Range, ...] | None]] = {
    "neutral": {
        "compressor": ((-30, -20), (1.5, 2), (50, 70), (100, 300)),
        "low_shelf": ((1, 3), (80, 200)),
        "band1": None,
        "high_shelf": ((1, 3), (6000, 8000)),
    },
    "broadcast": {
        "compressor": ((-50, -40), (3, 5), (5, 30), (50, 150)),
        "low_shelf": ((2, 6), (80, 200)),
        "band1": None,
        "high_shelf": ((2, 6), (6000, 8000)),
    },
    "telephone": {
        "compressor": ((-40, -20), (1.5, 3), (1, 6), (10, 60)),
        "low_shelf": ((-26, -20), (200, 400)),
        "band1": ((12, 16), (1000, 2000)),
        "high_shelf": ((-26, -20), (4000, 6000)),
    },
    "bright": {
        "compressor": None,
        "low_shelf": ((-26, -20), (200, 400)),
        "band1": None,
        "high_shelf": ((20, 26), (8000, 10000)),
    },
    "warm": {
        "compressor": None,
        "low_shelf": ((20, 26), (200, 400)),
        "band1": None,
        "high_shelf": ((-26, -20), (8000, 10000)),
    },
}


def style_steps(style: str, seed: int, identity: str) -> list[dict[str, Any]]:
    """The steps of one drawing of a style: equaliser, level, compressor, level."""
    ranges, draw = STYLES[style], Draw(seed, f"evaluation style {style}", identity)
    eq: dict[str, float] = {}
    for band in ("low_shelf", "band1", "high_shelf"):
        values = ranges[band]
        if values:
            eq |= {f"{band}_gain_db": draw.uniform(*values[0]), f"{band}_cutoff_hz": draw.uniform(*values[1]), f"{band}_q": 0.707}
    level = {"step": "normalise", "peak_dbfs": LEVEL_DBFS}
    steps: list[dict[str, Any]] = [{"step": "effect", "effect": "parametric_eq", "settings": eq}, level]
    if ranges["compressor"]:
        names = ("threshold_db", "ratio", "attack_ms", "release_ms")
        dynamics = {name: draw.uniform(*r) for name, r in zip(names, ranges["compressor"], strict=True)}
        steps += [
            {"step": "effect", "effect": "compressor", "settings": {**dynamics, "knee_db": 0.0, "makeup_gain_db": 0.0}},
            level,
        ]
    return steps


def content_name(corpus: Corpus) -> str:
    """What ``dry_half`` gives in this corpus, for reports."""
    return "dry halves" if corpus.extras in ("dry", "both") else "input halves (the corpus stores no dry ones)"


def dry_half(corpus: Corpus, ref: SampleRef, half: str) -> np.ndarray:
    """The dry half where the corpus stores it, else the input half, (channels, samples)."""
    stored = {name.rsplit(".", 1)[0] for name in ref.members}
    name = f"{half}.dry" if f"{half}.dry" in stored else f"{half}.input"
    return corpus.read(ref, [name])[name]


def has_effects(steps: Sequence[Mapping[str, Any]]) -> bool:
    return any(step["step"] == "effect" and not step.get("bypass", False) for step in steps)


def apply_style(audio: np.ndarray, steps: Sequence[Mapping[str, Any]], sample_rate: float, engine: str = OWN) -> np.ndarray:
    """Put recorded or drawn steps on another content: effects as they are, levels normalised anew, then -12 dBFS.

    Fades and protective gains belonged to the other clip and are passed over. ``engine`` other than ours renders the effects
    by another program (stylefx.foreign).
    """
    for step in steps:
        program = step.get("engine", engine)
        if step["step"] == "effect" and program != OWN:
            audio = foreign.render(program, audio, [step], sample_rate, step.get("headroom", True))
        elif step["step"] == "effect":
            chain = EffectChain.of(make_effect(step["effect"], **step.get("config", {})))
            entry = {k: step[k] for k in ("effect", "settings", "mix", "bypass") if k in step}
            audio = chain.render(audio, [entry], sample_rate)
        elif step["step"] == "normalise":
            audio = _level(audio, step, sample_rate)
    return _level(audio, {"peak_dbfs": LEVEL_DBFS}, sample_rate)


def _level(audio: np.ndarray, step: Mapping[str, Any], sample_rate: float) -> np.ndarray:
    if step.get("lufs") is not None:
        gain_db = step["lufs"] - loudness(audio, sample_rate, step.get("meter", "bs1770"))
    else:
        gain_db = (LEVEL_DBFS if step.get("peak_dbfs") is None else step["peak_dbfs"]) - peak_level_db(audio)
    return (audio * 10 ** (gain_db / 20)).astype(np.float32) if np.isfinite(gain_db) else audio
