"""How far exported settings are from our render: RMS of the difference in dB, in the real programs.

    python -m benchmarks.inference_exports [--audio FILE] [--draws 5]

Each draw takes settings around the middle of their ranges. ``level`` leaves out what a constant gain explains.
REAPER's column is the plug-in's code run by the interpreter of the tests, on half a second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from stylefx.audio.reading import read_audio
from stylefx.effects.presets import deepafx_st_chain
from stylefx.inference.export import TARGETS, export_text
from stylefx.inference.settings_file import StyleSettings
from tests.inference.conftest import speech_like
from tests.inference.export.test_text_formats import through_lv2
from tests.support import eel2, faust


def through(target: str, style: StyleSettings, audio: np.ndarray, rate: int, folder: Path) -> np.ndarray:
    text = export_text(style, target)
    if target == "reaper":
        return eel2.run(text, audio, rate)
    if target == "faust":
        return faust.run(text, audio, rate, folder)
    if target == "lv2":
        soundfile.write(folder / "in.wav", audio.T, rate, "FLOAT")
        return through_lv2(text, folder / "in.wav", folder)
    script, source, out = folder / f"style{TARGETS[target].suffix}", folder / "in.wav", folder / "out.wav"
    script.write_text(text)
    soundfile.write(source, audio.T, rate, "FLOAT")
    program = ["sh"] if target in ("ffmpeg", "sox") else [sys.executable]
    subprocess.run([*program, script, source, out], capture_output=True, check=True)
    return soundfile.read(out, always_2d=True, dtype="float64")[0].T


def difference_db(out: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """(as it is, after the best constant gain)"""
    n = min(out.shape[1], expected.shape[1])
    a, b = out[:, :n].astype(float), expected[:, :n].astype(float)
    gain = np.sum(a * b) / np.sum(a * a)
    return tuple(10 * np.log10(np.mean((g * a - b) ** 2) / np.mean(b**2)) for g in (1.0, gain))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", help="a recording; default: a synthetic one")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--targets", nargs="+", default=["ffmpeg", "sox", "pedalboard", "lv2", "faust", "reaper"])
    args = parser.parse_args()
    audio, rate = read_audio(args.audio) if args.audio else (speech_like(8, 44100, seed=1, channels=2), 44100)
    audio = np.repeat(audio, 2, axis=0)[:2] if audio.shape[0] == 1 else audio
    audio = audio[:, : 20 * rate] * np.float32(0.25 / np.abs(audio[:, : 20 * rate]).max())
    chain = deepafx_st_chain()
    print(f"{'dB':<12}{'equaliser':>12}{'whole chain':>14}{'its level':>12}   (median of {args.draws}; worst in brackets)")
    with tempfile.TemporaryDirectory() as name:
        for target in args.targets:
            part = audio[:, rate : rate + rate // 2] if target == "reaper" else audio
            rows = []
            for seed in range(args.draws):
                settings = chain.settings(np.random.default_rng(seed).uniform(0.3, 0.7, chain.num_controls))
                settings[1]["settings"]["makeup_gain_db"] = 0.0
                both = StyleSettings.of(chain, settings, sample_rate=float(rate))
                eq = StyleSettings.of(chain, [settings[0], {"effect": "compressor"}], sample_rate=float(rate))
                rendered = [
                    (through(target, s, part, rate, Path(name)), chain.render(part, s.settings, rate)) for s in (eq, both)
                ]
                pairs = [difference_db(*r) for r in rendered]
                rows.append((pairs[0][0], *pairs[1]))
            middle, worst = np.median(rows, axis=0), np.max(rows, axis=0)
            cells = "".join(f"{m:>8.1f} ({w:.1f})" for m, w in zip(middle, worst, strict=True))
            print(f"{target:<12}{cells}", flush=True)


if __name__ == "__main__":
    main()
