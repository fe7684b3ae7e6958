"""Rubber Band through the package pyrubberband, as other people's scripts run it, but pitch and tempo in one call of R3.

It is the program of the engine ``rubberband`` with the same options; the difference is in the files between: pyrubberband
writes 16-bit ones, so the audio is rounded before and after, 80 to 86 dB below the peak at the level that it works at, and
channels that are copies of each other no longer are.
"""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from types import ModuleType

import numpy as np

from stylefx.audio.engines.length import fit_frames
from stylefx.audio.engines.rubberband import ROOM_PEAK, SHORTEST_FRAMES, program_version, semitones
from stylefx.errors import UserError
from stylefx.extras import install_line


class PyRubberBand:
    name = "pyrubberband"
    working_peak = ROOM_PEAK

    def preflight(self) -> str:
        _library()
        return f"{self.name} {version('pyrubberband')} (rubberband {program_version(self.name)})"

    def __call__(self, audio: np.ndarray, sample_rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
        library = _library()
        frames = np.ascontiguousarray(fit_frames(audio, max(audio.shape[1], SHORTEST_FRAMES)).T, np.float64)
        options = {"--fine": "", "--ignore-clipping": ""}
        try:
            if tempo == 1.0:  # pyrubberband returns the input for a rate of one, whatever the options
                out = library.pitch_shift(frames, sample_rate, semitones(pitch_cents), rbargs=options)
            else:
                out = library.time_stretch(frames, sample_rate, tempo, rbargs=options | _pitch(pitch_cents))
        except (RuntimeError, subprocess.CalledProcessError) as error:
            program_version(self.name)  # the program missing or too old is the likelier reason, and has its own sentence
            raise UserError(f"pyrubberband failed at {pitch_cents:g} cents, tempo {tempo:g}: {error}") from None
        return out.T


def _pitch(pitch_cents: float) -> dict[str, float]:
    return {} if pitch_cents == 0.0 else {"--pitch": semitones(pitch_cents)}


def _library() -> ModuleType:
    try:
        import pyrubberband
    except ImportError as error:
        raise UserError(
            f"the engine pyrubberband needs that package ({error}); install it with: {install_line('pipe')}"
        ) from None
    return pyrubberband
