"""pedalboard: a Python script; the plug-ins and their arguments are those of stylefx.foreign.board."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from stylefx.foreign.board import convolution_gain_db, impulse_response, source
from stylefx.foreign.fit import corners
from stylefx.inference.export.limiters import FASTEST_MS, early_ms, limiter_notes, release_ms
from stylefx.inference.export.stages import (
    BandStage,
    CompressorStage,
    LimiterStage,
    Stage,
    fit_compressors,
    header,
    number,
    stages,
)  # fmt: skip
from stylefx.inference.settings_file import StyleSettings

_ROUGH_BELOW_HZ = 150.0
WALL = 10000  # ratio of a compressor that limits
NAMES = ("Clipping", "Compressor", "Convolution", "Gain", "HighShelfFilter", "LowShelfFilter", "Pedalboard", "PeakFilter")

IMPULSE = '''

def impulse_response(sections, samples=4096):
    """Of second-order sections (b0, b1, b2, 1, a1, a2) in series."""
    signal = [1.0] + [0.0] * (samples - 1)
    for b0, b1, b2, _, a1, a2 in sections:
        u = v = 0.0
        for i, x in enumerate(signal):
            y = b0 * x + u
            u, v, signal[i] = b1 * x - a1 * y + v, b2 * x - a2 * y, y
    return np.array(signal, np.float32)

'''

LINKED = '''

class Linked:
    """Compressors that hear the louder channel, ``late`` seconds before they come out, and turn all of them alike."""

    def __init__(self, *compressors, late=0.0):
        self.compressors, self.late, self.waiting = compressors, late, None

    def __call__(self, audio, rate, reset=True):
        if reset or self.waiting is None:
            self.waiting = np.zeros((len(audio), round(self.late * rate)), np.float32)
        louder = np.maximum(np.abs(audio).max(axis=0, keepdims=True), 1e-6).astype(np.float32)
        gain = np.ones_like(louder)
        for compressor in self.compressors:
            gain *= compressor(louder, rate, reset=reset) / louder
        audio = np.concatenate([self.waiting, audio], axis=1)
        self.waiting = audio[:, gain.shape[1] :]
        return audio[:, : gain.shape[1]] * gain

'''

SCRIPT = """\
{header}
import sys

import numpy as np
from pedalboard import {names}
from pedalboard.io import AudioFile
{helpers}
chain = [
{parts}
]


def board(audio, rate, reset=True):
    for part in chain:
        audio = part(audio, rate, reset=reset)
    return audio


def main(source, output):
    with AudioFile(source) as reader:
        rate, channels = int(reader.samplerate), reader.num_channels
        late = skip = sum(round(getattr(part, "late", 0.0) * rate) for part in chain)
        with AudioFile(output, "w", rate, channels, bit_depth=24) as writer:
            while reader.tell() < reader.frames:
                out = board(reader.read(rate), rate, reset=False)
                writer.write(out[:, skip:])
                skip = max(0, skip - out.shape[1])
            if late:
                writer.write(board(np.zeros((channels, late), np.float32), rate, reset=False)[:, skip:])


if __name__ == "__main__":
    main(*sys.argv[1:])
"""

Part = tuple[bool, str]  # works on each channel by itself, and its source


def render(style: StyleSettings) -> str:
    """A Python script: ``python FILE input output``; ``board`` can be imported from it."""
    plan, limiter, after_db, notes = stages(style, "pedalboard", limits=True)
    for stage in plan:
        if isinstance(stage, CompressorStage):
            notes += _compressor_notes(stage)
    plan, fits = fit_compressors(plan, style, "pedalboard", soft=False)
    notes += fits
    parts = [part for stage in plan for part in _parts(stage, style, notes)]
    if limiter is not None:
        parts += _limiter(limiter, after_db)
        notes += limiter_notes("pedalboard")
    helpers = IMPULSE if any(text.startswith("Convolution") for _, text in parts) else ""
    helpers += LINKED if any(not alone for alone, _ in parts) else ""
    usage = "Use: python THIS_FILE input.wav output.wav   (needs the package pedalboard)"
    return SCRIPT.format(
        header="\n".join(header(style, "pedalboard", [usage, *notes])),
        names=", ".join(name for name in NAMES if name == "Pedalboard" or any(name in text for _, text in parts)),
        helpers=helpers,
        parts="\n".join(_chain(parts)),
    )


def _chain(parts: list[Part]) -> list[str]:
    """The list's lines: what works on each channel by itself is gathered into boards."""
    lines: list[str] = []
    for alone, run in groupby(parts, key=lambda part: part[0]):
        texts = [text for _, text in run]
        if alone:
            lines += ["    Pedalboard(", "        [", *(f"            {text}," for text in texts), "        ]", "    ),"]
        else:
            lines += [f"    {text}," for text in texts]
    return lines


def _limiter(limiter: LimiterStage, after_db: float) -> list[Part]:
    """A compressor that hears the audio early, and a clipper."""
    threshold, ceiling = number(limiter.ceiling_db - limiter.gain_db), number(limiter.ceiling_db)
    words = f"threshold_db={threshold}, ratio={WALL}, attack_ms={number(FASTEST_MS)}"
    words += f", release_ms={number(release_ms(limiter, 'pedalboard'))}"
    late = f"late={number(early_ms(limiter, 'pedalboard') / 1000)}"
    gains = [f"Gain({number(limiter.gain_db)})", f"Clipping({ceiling})", *([f"Gain({number(after_db)})"] if after_db else [])]
    return [(False, f"Linked(Compressor({words}), {late})"), *((True, text) for text in gains)]


def _parts(stage: Stage, style: StyleSettings, notes: list[str]) -> list[Part]:
    if isinstance(stage, CompressorStage):
        knees = (replace(stage, threshold_db=threshold, ratio=ratio) for threshold, ratio in corners(stage))
        return [(False, f"Linked({', '.join(source(knee) for knee in knees)})")]
    if not isinstance(stage, BandStage) or not stage.sections:
        return [(True, _plugin(stage, notes))]
    gain_db = convolution_gain_db(impulse_response(stage.sections))
    assert style.sample_rate is not None  # or no band would have sections
    sections = ", ".join("(" + ", ".join(f"{v:.12f}" for v in s) + ")" for s in stage.sections)
    rate = number(style.sample_rate)
    return [(True, f"Convolution(impulse_response([{sections}]), sample_rate={rate})"), (True, f"Gain({number(gain_db)})")]


def _plugin(stage: Stage, notes: list[str]) -> str:
    if isinstance(stage, BandStage) and stage.cutoff_hz < _ROUGH_BELOW_HZ:
        notes.append(
            f"{stage.name}: pedalboard filters in single precision, which is rough at {stage.cutoff_hz:.0f} Hz (about -50 dB)."
        )
    return source(stage)


def _compressor_notes(stage: CompressorStage) -> list[str]:
    notes = [
        "pedalboard's compressor smooths the level before its gain curve, stylefx the gain reduction after it. It works on",
        "each channel by itself, so it is given the louder one and its gain is put on both. Make-up gain is a Gain after it.",
    ]
    if stage.knee_db:
        notes.append(f"Its knee is hard: the knee of {stage.knee_db:g} dB is two compressors with one each.")
    return notes
