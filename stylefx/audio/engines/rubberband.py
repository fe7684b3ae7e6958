"""Rubber Band (GPL program ``rubberband``): pitch and tempo in one process call, through float WAV files.

The finer engine of the program (R3) is used: R2, which pyrubberband runs, is off by tens of cents on low tones and
loses level. The program cannot stream through pipes, and pyrubberband writes 16-bit files that clip, so the files are
ours. The phase between channels of different level is kept to about -23 dB only; the other engines keep it exactly.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from stylefx.audio.engines.length import fit_frames
from stylefx.audio.reading import read_audio
from stylefx.audio.wav import wav_header, wav_samples
from stylefx.errors import UserError

_INSTALL = "apt-get install rubberband-cli (macOS: brew install rubberband)"
_TIMEOUT_S = 600
_SHORTEST_FRAMES = 8192  # the program returns nothing for less than about a window


class RubberBand:
    name = "rubberband"

    def preflight(self) -> str:
        result = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=False, timeout=60)
        version = (result.stdout + result.stderr).strip().splitlines()
        found = version[0] if version else "unknown version"
        if not found[:1].isdigit() or int(found.split(".")[0]) < 3:
            raise UserError(f"the engine {self.name} needs rubberband 3 or later, found {found!r}; {_INSTALL}")
        return f"{self.name} (rubberband {found})"

    def __call__(self, audio: np.ndarray, sample_rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
        command = [_program(), "--quiet", "--fine", "--ignore-clipping"]
        if tempo != 1.0 or pitch_cents == 0.0:
            command += ["--tempo", repr(tempo)]
        if pitch_cents != 0.0:
            command += ["--pitch", repr(pitch_cents / 100.0)]
        with tempfile.TemporaryDirectory(prefix="stylefx-rubberband-") as folder:
            source, result = Path(folder) / "in.wav", Path(folder) / "out.wav"
            padded = fit_frames(audio, max(audio.shape[1], _SHORTEST_FRAMES))
            header = wav_header("float32", padded.shape[0], sample_rate, padded.shape[1])
            source.write_bytes(header + wav_samples(padded.T, "float32"))
            done = subprocess.run([*command, str(source), str(result)], capture_output=True, check=False, timeout=_TIMEOUT_S)
            if done.returncode != 0 or not result.exists():
                reason = done.stderr.decode(errors="replace").strip().splitlines()
                raise UserError(f"rubberband failed ({' '.join(command[1:])}): {reason[-1] if reason else done.returncode}")
            return read_audio(result)[0]


def _program() -> str:
    path = shutil.which("rubberband")
    if path is None:
        raise UserError(f"the engine rubberband needs the program rubberband, which is not installed: {_INSTALL}")
    return path
