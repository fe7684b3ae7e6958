"""ffmpeg, a process per call: biquads in double precision and ``acompressor``.

acompressor smooths the level (linear, before the gain is computed), we smooth the gain reduction; its time t is four
time constants, ours ln 9 of them. Its soft knee, a cubic through the same end points and slopes, is our parabola.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stylefx.audio.decoders.g722 import find_ffmpeg
from stylefx.foreign.process import through, version_line
from stylefx.foreign.stages import LN9, BandStage, CompressorStage, GainStage, Stage, number

if TYPE_CHECKING:
    import numpy as np

MAX_RATIO = 20.0
MAX_KNEE_DB = 20 * math.log10(8)
#: else the first filter may work in 16 bits
DOUBLE = "aformat=sample_fmts=dblp"
_TIME = 4 / LN9  # 1.82
_LOWEST_THRESHOLD_DB = -60.0
_FILTERS = {
    "peak": "equalizer", "low_shelf": "lowshelf", "high_shelf": "highshelf",
    "high_pass": "highpass", "low_pass": "lowpass", "notch": "bandreject",
}  # fmt: skip


class Ffmpeg:
    name = "ffmpeg"
    effects = frozenset({"parametric_eq", "compressor", "gain"})

    def preflight(self) -> str:
        return " ".join(version_line([find_ffmpeg(), "-version"]).split()[:3])

    def __call__(self, audio: np.ndarray, stages: Sequence[Stage], sample_rate: int, headroom: bool) -> np.ndarray:
        chain = ",".join([DOUBLE, *(text for stage in stages for text in filters(stage))])
        raw = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(audio.shape[0])]
        command = [find_ffmpeg(), "-v", "error", "-nostdin", *raw, "-i", "pipe:0", "-af", chain, *raw, "pipe:1"]
        return through(self.name, command, audio)


def filters(stage: Stage) -> list[str]:
    """The filters of one stage, for -af."""
    if isinstance(stage, GainStage):
        return [volume(stage.gain_db)]
    if isinstance(stage, BandStage):
        if stage.sections:
            names = ("b0", "b1", "b2", "a0", "a1", "a2")
            return ["biquad=" + ":".join(f"{n}={v:.12f}" for n, v in zip(names, s)) + ":r=f64" for s in stage.sections]
        gain = f":g={number(stage.gain_db)}" if stage.kind in ("peak", "low_shelf", "high_shelf") else ""
        return [f"{_FILTERS[stage.kind]}=f={number(stage.cutoff_hz)}:t=q:w={number(stage.q)}{gain}:r=f64"]
    return _compressor(stage)


def _compressor(stage: CompressorStage) -> list[str]:
    """Ratio and knee within ffmpeg's bounds; outside its range of thresholds the audio is moved, and moved back."""
    ratio, knee_db = min(stage.ratio, MAX_RATIO), min(stage.knee_db, MAX_KNEE_DB)
    shift = max(0.0, math.ceil(_LOWEST_THRESHOLD_DB - stage.threshold_db)) - max(0.0, math.ceil(stage.threshold_db))
    threshold = 10 ** ((stage.threshold_db + shift) / 20)
    text = (
        f"acompressor=threshold={number(threshold)}:ratio={number(ratio)}:attack={number(max(stage.attack_ms * _TIME, 0.01))}"
        f":release={number(max(stage.release_ms * _TIME, 0.01))}:knee={number(10 ** (knee_db / 20))}"
        ":makeup=1:detection=peak:link=maximum"
    )
    return [volume(shift), text, volume(-shift)] if shift else [text]


def volume(gain_db: float) -> str:
    return f"volume={number(gain_db)}dB:precision=double"
