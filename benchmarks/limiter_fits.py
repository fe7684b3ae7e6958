"""How close other programs' limiters come to ours with the settings that the exports write: difference in dB.

    python -m benchmarks.limiter_fits

Needs ffmpeg, SoX and pedalboard. The figures that the exports print are those of the test signal at a release of 80 ms.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.foreign.fit import difference_db, probe
from stylefx.inference.export import TARGETS, export_text
from stylefx.inference.settings_file import StyleSettings

RATE, CEILING_DB = 44100, -13.0


def main() -> None:
    chain = EffectChain.of(make_effect("limiter"))
    print("| taken away | release | ffmpeg | SoX | pedalboard |\n|---|---|---:|---:|---:|")
    for over_db in (3.0, 6.0, 12.0):
        audio = probe(RATE, CEILING_DB + over_db)[None].astype(np.float32)
        for release_ms in (20.0, 80.0, 200.0):
            settings = [{"effect": "limiter", "settings": {"ceiling_db": CEILING_DB, "release_ms": release_ms}}]
            style = StyleSettings.of(chain, settings, sample_rate=float(RATE))
            expected = chain.render(audio, style.settings, RATE)[0].astype(float)
            row = [difference_db(_through(name, style, audio), expected) for name in ("ffmpeg", "sox", "pedalboard")]
            print(f"| {over_db:g} dB | {release_ms:g} ms | " + " | ".join(f"{v:.1f}" for v in row) + " |", flush=True)


def _through(target: str, style: StyleSettings, audio: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        script, source, out = Path(folder) / f"s{TARGETS[target].suffix}", Path(folder) / "i.wav", Path(folder) / "o.wav"
        script.write_text(export_text(style, target))
        soundfile.write(source, audio.T, RATE, subtype="FLOAT")
        program = sys.executable if target == "pedalboard" else "sh"
        subprocess.run([program, script, source, out], check=True, capture_output=True)
        return np.asarray(soundfile.read(out, dtype="float64")[0])


if __name__ == "__main__":
    main()
