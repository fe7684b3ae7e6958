"""Decoded copies of long recordings in formats that cannot be sought in, shared by the workers of a machine.

Vorbis, Opus, MP3 and G.722 are decoded from their start. Samples go to shards by a hash, so every shard needs stretches of
nearly every long recording, and would decode them all again. A copy is one file of interleaved float32 frames, named by the
recording's content and the decoder, so that what is read from it is to the bit what decoding gives. Its checksum is tested
once by every process that uses it: a copy that a power cut or a disk has damaged is made anew.

``STYLEFX_DECODED_GB`` limits the copies on a machine (default 20, 0 makes none); the ones not used for longest go first.
They lie in ``STYLEFX_CACHE``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from pipelines.source_archives import cache_folder
from stylefx.audio import open_blocks
from stylefx.errors import UserError

_HEADER_BYTES = 4096
_DEFAULT_GB = 20.0
_FREE_SHARE = 0.1  # of the disk is left alone


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
        self.folder, self.max_bytes = folder, max_bytes
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

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}-sndfile-{soundfile.__libsndfile_version__}.f32"

    def _find(self, digest: str) -> _Copy | None:
        """An existing copy, its checksum tested; a damaged one is removed."""
        path, crc, size = self._path(digest), 0, 0
        try:
            with open(path, "rb") as file:
                header = json.loads(file.read(_HEADER_BYTES).rstrip(b"\0"))
                while block := file.read(1 << 20):
                    crc, size = zlib.crc32(block, crc), size + len(block)
            copy = _Copy(path, int(header["frames"]), int(header["channels"]), int(header["sample_rate"]))
            if crc == header["crc32"] and size == 4 * copy.frames * copy.channels:
                os.utime(path)  # when it was used last, whatever the disk's mount options are
                return copy
        except (FileNotFoundError, PermissionError):
            return None
        except (ValueError, KeyError, OSError):
            pass  # damaged
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def _make(self, digest: str, source: Any, name: str) -> _Copy | None:
        """Decode the recording into a new copy, unless another process does."""
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _only_one(path.with_suffix(".lock")) as alone:
                if not alone or _content_digest(source) != digest:
                    return None
                part = path.with_suffix(".part")  # ours while we hold the lock, also where a killed process left one
                try:
                    with open(part, "wb") as file:
                        if not self._write(file, source, name):
                            return None
                    os.replace(part, path)
                finally:
                    part.unlink(missing_ok=True)
        except OSError:  # the cache is a convenience: a full or read-only one stops no build
            return None
        return self._find(digest)

    def _write(self, file: Any, source: Any, name: str) -> bool:
        """Header and frames, on the disk before the name is; False when there is no room."""
        frames, crc = 0, 0
        file.write(bytes(_HEADER_BYTES))
        with open_blocks(source, name=name) as reader:
            expected = 4 * reader.channels * reader.info.frames
            if not self._make_room(expected):
                return False
            for block in reader:
                data = np.ascontiguousarray(block.T)
                crc = zlib.crc32(data, crc)
                frames += len(data)
                if 4 * reader.channels * frames > 2 * expected + (1 << 26):
                    return False  # the header promised less by far
                file.write(data)
            header = {"frames": frames, "channels": reader.channels, "sample_rate": reader.sample_rate, "crc32": crc}
        file.seek(0)
        file.write(json.dumps(header).encode())
        file.flush()
        os.fsync(file.fileno())
        return True

    def _make_room(self, wanted: int) -> bool:
        """Remove the copies that were not used for longest until ``wanted`` more bytes fit; False when they cannot."""
        disk = shutil.disk_usage(self.folder)
        if wanted > self.max_bytes or disk.free - wanted < _FREE_SHARE * disk.total:
            return False
        copies = []
        for path in self.folder.glob("??/*.f32"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                copies.append((stat.st_mtime_ns, stat.st_size, path))
        excess = sum(size for _, size, _ in copies) + wanted - self.max_bytes
        for _, size, path in sorted(copies):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)  # who has it open keeps reading it
            excess -= size
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


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """True in one process at a time; the kernel frees the lock of one that dies."""
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def default_spool() -> Spool | None:
    """As the environment asks; None where copies are switched off."""
    text = os.environ.get("STYLEFX_DECODED_GB", "")
    try:
        gigabytes = float(text) if text else _DEFAULT_GB
    except ValueError:
        raise UserError(f"STYLEFX_DECODED_GB is {text!r}; give a number of gigabytes, 0 for no decoded copies") from None
    return Spool(cache_folder() / "decoded", int(gigabytes * 1e9)) if gigabytes > 0 else None
