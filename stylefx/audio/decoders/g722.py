"""Raw G.722 (64 kbit/s, 16 kHz mono, no header), decoded by ffmpeg: the one of the wheel imageio-ffmpeg, else the system's."""

from __future__ import annotations

import shutil
import subprocess
from typing import BinaryIO

import numpy as np

from stylefx.audio.decoders.base import AudioInfo, file_size
from stylefx.errors import UserError
from stylefx.extras import install_line

G722_RATE = 16000


def g722_frames(num_bytes: int) -> int:
    """Each byte holds two samples."""
    return 2 * num_bytes


def find_ffmpeg() -> str:
    """The path of an ffmpeg program; UserError with the line that installs it."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        path = shutil.which("ffmpeg")
    if path is None:
        raise UserError(f"raw G.722 is decoded by ffmpeg, which is missing; install it with: {install_line('ffmpeg')}")
    return path


def decode_g722(data: bytes, name: str) -> np.ndarray:
    """G.722 bytes -> float32 (samples, 1), the decoder's 16-bit samples over 32768."""
    command = [find_ffmpeg(), "-v", "error", "-f", "g722", "-i", "pipe:0", "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    samples = np.frombuffer(result.stdout[: len(result.stdout) // 2 * 2], "<i2")
    if result.returncode != 0 or len(samples) != g722_frames(len(data)):
        reason = result.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(
            f"{name} is not raw G.722 of 64 kbit/s: {len(samples)} samples came out of {len(data)} bytes"
            + (f" ({reason[-1]})" if reason else "")
        )
    return samples.astype(np.float32)[:, None] * np.float32(1 / 32768)


class G722Decoder:
    """See ``AudioDecoder``. There is no header; a byte is two frames, so any range can be reached, but all is decoded at once."""

    def __init__(self, file: BinaryIO, name: str):
        self._file, self._name, self._at = file, name, 0
        self._pcm: np.ndarray | None = None
        self.damage = ""
        self.info = AudioInfo(G722_RATE, 1, g722_frames(file_size(file)), "G722", "G722", exact=True)

    def read(self, frames: int) -> np.ndarray:
        if self._pcm is None:
            self._file.seek(0)
            self._pcm = decode_g722(self._file.read(), self._name)
        block = self._pcm[self._at : self._at + frames]
        self._at += len(block)
        return block

    def seek(self, frame: int) -> bool:
        self._at = frame
        return True

    def close(self) -> None:
        self._pcm = None
