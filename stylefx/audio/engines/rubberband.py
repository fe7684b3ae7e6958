"""Rubber Band (GPL program ``rubberband``): pitch and tempo in one process call, through float WAV files.

The finer engine of the program (R3) is used: R2, which pyrubberband runs unless told otherwise, is off by tens of cents on
low tones and loses level. The program cannot stream through pipes, so it reads and writes files. The phase between channels
of different level is kept to about -23 dB only; the engines that are not Rubber Band keep it exactly.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stylefx.audio.engines.length import fit_frames
from stylefx.audio.reading import read_audio
from stylefx.audio.wav import wav_header, wav_samples
from stylefx.errors import UserError

if TYPE_CHECKING:
    import numpy as np

_INSTALL = "apt-get install rubberband-cli (macOS: brew install rubberband)"
_TIMEOUT_S = 600
ROOM_PEAK = 0.25  # at least 12 dB of room below +-1, where the program cuts off, for output with higher peaks than the input
SHORTEST_FRAMES = 8192  # the program returns nothing for less than about a window


class RubberBand:
    name = "rubberband"
    working_peak = ROOM_PEAK

    def preflight(self) -> str:
        return f"{self.name} (rubberband {program_version(self.name)})"

    def __call__(self, audio: np.ndarray, sample_rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
        command = [_program(self.name), "--quiet", "--fine", "--ignore-clipping"]
        if tempo != 1.0 or pitch_cents == 0.0:
            command += ["--tempo", repr(tempo)]
        if pitch_cents != 0.0:
            command += ["--pitch", repr(semitones(pitch_cents))]
        with tempfile.TemporaryDirectory(prefix="stylefx-rubberband-") as folder:
            source, result = Path(folder) / "in.wav", Path(folder) / "out.wav"
            padded = fit_frames(audio, max(audio.shape[1], SHORTEST_FRAMES))
            header = wav_header("float32", padded.shape[0], sample_rate, padded.shape[1])
            source.write_bytes(header + wav_samples(padded.T, "float32"))
            done = subprocess.run([*command, str(source), str(result)], capture_output=True, check=False, timeout=_TIMEOUT_S)
            if done.returncode != 0 or not result.exists():
                reason = done.stderr.decode(errors="replace").strip().splitlines()
                raise UserError(f"rubberband failed ({' '.join(command[1:])}): {reason[-1] if reason else done.returncode}")
            return read_audio(result)[0]


def semitones(pitch_cents: float) -> float:
    """The program's unit of pitch."""
    return pitch_cents / 100.0


def program_version(engine: str) -> str:
    """Version of the program that ``engine`` runs; UserError where it is missing or older than 3 (without R3)."""
    result = subprocess.run([_program(engine), "--version"], capture_output=True, text=True, check=False, timeout=60)
    version = (result.stdout + result.stderr).strip().splitlines()
    found = version[0] if version else "unknown version"
    if not found[:1].isdigit() or int(found.split(".")[0]) < 3:
        raise UserError(f"the engine {engine} needs rubberband 3 or later, found {found!r}; {_INSTALL}")
    return found


def _program(engine: str) -> str:
    path = shutil.which("rubberband")
    if path is None:
        raise UserError(f"the engine {engine} needs the program rubberband, which is not installed: {_INSTALL}")
    return path
