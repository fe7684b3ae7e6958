"""Limiters of other programs in place of ours, at the end of a chain.

Ours holds peaks over its look-ahead and averages; ffmpeg's draws lines to each peak, those of SoX and pedalboard are compressors
of infinite ratio that hear the audio early, with a clipper at the ceiling after them. How early, and how long the release has to
be called, was fitted once over releases of 20 to 200 ms and reductions of 3 and 6 dB, on the test signal of ``foreign.fit`` and
on speech: `python -m benchmarks.limiter_fits` prints what is left.
"""

from __future__ import annotations

from typing import NamedTuple

from stylefx.foreign.ffmpeg import volume
from stylefx.foreign.sox import gain_words
from stylefx.foreign.stages import LimiterStage, number


class Match(NamedTuple):
    """How a program's limiter is set: ``early`` = milliseconds of attack or delay as a share of our look-ahead, its release is
    ``release_ms`` + ``release`` times ours; ``left_db``: the difference that is left where 3 and 6 dB are taken away."""

    early: float
    release_ms: float
    release: float
    left_db: tuple[int, int]


MATCHES = {
    "ffmpeg": Match(1.08, 15.0, 1.25, (-40, -31)),
    "sox": Match(0.54, 50.0, 2.1, (-39, -30)),
    "pedalboard": Match(0.5, 400.0, 11.5, (-39, -30)),
}
FASTEST_MS = 0.02  # attack of the compressors: below it nothing changes
_FFMPEG_LIMITS = {"limit": (0.0625, 1.0), "attack": (0.1, 80.0), "release": (1.0, 8000.0)}
_FLOOR_DB = -120.0


def early_ms(stage: LimiterStage, target: str) -> float:
    return MATCHES[target].early * stage.lookahead_ms


def release_ms(stage: LimiterStage, target: str) -> float:
    match = MATCHES[target]
    return match.release_ms + match.release * stage.release_ms


def limiter_notes(target: str) -> list[str]:
    """How close the limiter comes."""
    three, six = MATCHES[target].left_db
    return [f"Limiter fitted to ours: {three} dB difference on a test signal where 3 dB are taken away, {six} dB at 6."]


def ffmpeg_filters(stage: LimiterStage) -> list[str]:
    """``alimiter`` without its automatic level, its delay taken out."""
    values = {
        "limit": 10 ** (stage.ceiling_db / 20), "attack": early_ms(stage, "ffmpeg"), "release": release_ms(stage, "ffmpeg"),
    }  # fmt: skip
    words = [f"{name}={number(min(max(values[name], low), high))}" for name, (low, high) in _FFMPEG_LIMITS.items()]
    return [volume(stage.gain_db), f"alimiter={':'.join(words)}:level=0:latency=1"]


def sox_words(stage: LimiterStage, left_db: float) -> list[str]:
    """``compand`` for audio that lies ``left_db`` below where it should, raised so that SoX clips at the ceiling."""
    threshold = stage.ceiling_db - stage.gain_db - left_db
    words = []
    if threshold < -0.01:  # above, the audio cannot reach the ceiling before SoX clips anyway
        times = f"{number(FASTEST_MS / 1000)},{number(release_ms(stage, 'sox') / 1000)}"
        top = number(threshold)
        curve = f"0.01:{number(_FLOOR_DB)},{number(_FLOOR_DB)},{top},{top},0,{top}"
        words = ["compand", times, curve, "0", number(_FLOOR_DB), number(early_ms(stage, "sox") / 1000)]
    return [*words, *gain_words(left_db + stage.gain_db - stage.ceiling_db), *gain_words(stage.ceiling_db)]
