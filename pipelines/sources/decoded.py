"""Decoded copies of long recordings in formats that cannot be sought in, shared by the workers of a machine.

Vorbis, Opus, MP3, G.722 and what libav reads are decoded from their start. Samples go to shards by a hash, so every shard needs
stretches of nearly every long recording, and would decode them all again. A copy is one file of interleaved float32 frames, named
by the recording's content and the decoders, so that what is read from it is to the bit what decoding gives. Its checksum is
tested once by every process that uses it: a copy that a power cut or a disk has damaged is made anew.

``STYLEFX_DECODED_GB`` limits the copies on a machine (default 20, 0 makes none); the ones not used for longest go first.
They lie in ``STYLEFX_CACHE``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio import open_blocks
from stylefx.audio.decoders import decoder_version
from stylefx.errors import UserError
from stylefx.files.cache import Cache, cache_folder

_HEADER_BYTES = 4096


_DEFAULT_GB = 20.0


_FREE_BYTES = 4 * 10**9  # of the disk are left alone


@dataclass(frozen=True)
class _Copy:
    """One copy on the disk."""

    path: Path
    frames: int
    channels: int
    sample_rate: int


class Spool:
    """Copies in ``folder``, at most ``max_bytes`` of them."""

    def __init__(self, folder: Path, max_bytes: int):
        self.max_bytes = max_bytes
        self._cache = Cache(folder, max_bytes, free_bytes=_FREE_BYTES)
        self._tested: dict[str, _Copy] = {}

    def stretch(self, digest: str, source: Any, name: str, start_frame: int, num_frames: int) -> tuple[np.ndarray, int] | None:
        """Frames of the recording of that content, float32 (channels, n), and its rate in Hz; n is smaller than asked at its end.

        None where no copy can be had: no room, the content is another, or another process is making the copy right now
        (waiting for it would look like a sample that hangs). UserError when the recording cannot be decoded.
        """
        for find in (self._tested.get, self._find, lambda d: self._make(d, source, name)):
            copy = find(digest)
            if copy is None:
                continue
            first, end = min(start_frame, copy.frames), min(start_frame + num_frames, copy.frames)
            place = _HEADER_BYTES + 4 * copy.channels * first
            try:
                flat = np.fromfile(copy.path, np.float32, copy.channels * (end - first), offset=place)
            except FileNotFoundError:  # removed to make room for others
                self._tested.pop(digest, None)
                continue
            self._tested[digest] = copy
            return np.ascontiguousarray(flat.reshape(-1, copy.channels).T), copy.sample_rate
        return None

    @property
    def folder(self) -> Path:
        """Where the copies lie."""
        return self._cache.folder

    @staticmethod
    def key(digest: str) -> str:
        """The cache's name of a copy: the content and the decoder."""
        return f"{digest}-{decoder_version()}.f32"

    def _find(self, digest: str) -> _Copy | None:
        """An existing copy, its checksum tested; a damaged one is removed."""
        path, crc, size = self._cache.path(self.key(digest)), 0, 0
        try:
            with open(path, "rb") as file:
                header = json.loads(file.read(_HEADER_BYTES).rstrip(b"\0"))
                while block := file.read(1 << 20):
                    crc, size = zlib.crc32(block, crc), size + len(block)
            copy = _Copy(path, int(header["frames"]), int(header["channels"]), int(header["sample_rate"]))
            if crc == header["crc32"] and size == 4 * copy.frames * copy.channels:
                return copy if self._cache.find(self.key(digest)) else None
        except (FileNotFoundError, PermissionError):
            return None
        except (ValueError, KeyError, OSError):
            pass  # damaged
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def _make(self, digest: str, source: Any, name: str) -> _Copy | None:
        """Decode the recording into a new copy, unless another process does."""
        try:
            if not self._cache.fill(self.key(digest), lambda part: self._write(part, digest, source, name), wait=False):
                return None
        except OSError:  # the cache is a convenience: a full or read-only one stops no build
            return None
        return self._find(digest)

    def _write(self, part: Path, digest: str, source: Any, name: str) -> bool:
        """Header and frames; False when the content is another, or when there is no room."""
        if _content_digest(source) != digest:
            return False
        with open(part, "wb") as file:
            return self._decode(file, source, name)

    def _decode(self, file: Any, source: Any, name: str) -> bool:
        """Header and frames of a recording; False when there is no room."""
        frames, crc = 0, 0
        file.write(bytes(_HEADER_BYTES))
        with open_blocks(source, name=name) as reader:
            expected = 4 * reader.channels * reader.info.frames
            if not self._cache.make_room(expected):
                return False
            for block in reader:
                data = np.ascontiguousarray(block.T)
                crc = zlib.crc32(data.data, crc)
                frames += len(data)
                if 4 * reader.channels * frames > 2 * expected + (1 << 26):
                    return False  # the header promised less by far
                file.write(data)
            header = {"frames": frames, "channels": reader.channels, "sample_rate": reader.sample_rate, "crc32": crc}
        file.seek(0)
        file.write(json.dumps(header).encode())
        return True


def _content_digest(source: Any) -> str:
    """sha256 of a path, bytes or an open file, which is left at its start."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    source.seek(0)
    digest = hashlib.sha256()
    while block := source.read(1 << 20):
        digest.update(block)
    source.seek(0)
    return digest.hexdigest()


def default_spool() -> Spool | None:
    """As the environment asks; None where copies are switched off."""
    text = os.environ.get("STYLEFX_DECODED_GB", "")
    try:
        gigabytes = float(text) if text else _DEFAULT_GB
    except ValueError:
        raise UserError(f"STYLEFX_DECODED_GB is {text!r}; give a number of gigabytes, 0 for no decoded copies") from None
    return Spool(cache_folder() / "decoded", int(gigabytes * 1e9)) if gigabytes > 0 else None
