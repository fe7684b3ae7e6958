"""Audio through a program's pipes, as raw 32-bit floats."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

import numpy as np

from stylefx.errors import UserError

TIMEOUT_S = 600


def find(program: str, install: str) -> str:
    """The program's path; UserError with the line that installs it."""
    path = shutil.which(program)
    if path is None:
        raise UserError(f"the engine {program} needs the program {program}, which is not installed: {install}")
    return path


def version_line(command: Sequence[str]) -> str:
    """The first line that the program says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown version"


def through(name: str, command: Sequence[str], audio: np.ndarray) -> np.ndarray:
    """float32 (channels, samples) through a program that reads and writes little-endian floats, channels interleaved."""
    data = np.ascontiguousarray(audio.T, "<f4").tobytes()
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=TIMEOUT_S)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"{name} failed ({' '.join(command)}): {reason[-1] if reason else done.returncode}")
    frame = 4 * audio.shape[0]
    samples = np.frombuffer(done.stdout[: len(done.stdout) // frame * frame], "<f4")
    return np.ascontiguousarray(samples.reshape(-1, audio.shape[0]).T, np.float32)
