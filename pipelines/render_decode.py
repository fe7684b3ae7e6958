"""From planned parts to one clip at the corpus' rate.

What a clip is made of does not depend on what else the shard holds: stretches are cut first, mixed and resampled after.
Of formats that cannot be sought in, long recordings are decoded once per machine (see ``decode_spool``), the others once for all
stretches that a shard needs.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pipelines.decode_spool import Spool
from pipelines.plan import Part, PlannedSample
from pipelines.source_archives import MEMBER_MARK
from pipelines.sources import open_uri
from pipelines.storage import is_remote, patiently
from stylefx.audio import mix_down, open_blocks, read_audio, resample
from stylefx.errors import IncompleteError, UserError

_KEPT_BYTES = 256 << 20
_HASHED_BYTES = 64 << 20  # hashing larger files again in every worker would cost more than it guards
_CHECKED_FILES = 65536
_SPOOLED_S = 30.0  # what ends before is decoded faster than it is looked up
_SOUGHT = (".wav", ".flac", ".aif", ".aiff", ".aifc", ".w64", ".rf64", ".caf", ".au")

Stretch = tuple[int, int]


class Decoder:
    """Reads the parts of samples; one per shard, told by ``expect`` what the coming shard needs."""

    def __init__(self, sample_rate: int, channels: int, kept_bytes: int = _KEPT_BYTES, spool: Spool | None = None):
        self.sample_rate, self.channels, self._kept_bytes, self._spool = sample_rate, channels, kept_bytes, spool
        self._wanted: dict[str, list[Stretch]] = {}
        self._kept: dict[tuple[str, Stretch], np.ndarray] = {}
        self._bytes = 0
        self._checked: OrderedDict[tuple, str] = OrderedDict()

    def expect(self, samples: Iterable[PlannedSample]) -> None:
        """Note which stretches of which recordings come, in order; drop what was kept for an earlier shard."""
        self._kept.clear()
        self._bytes = 0
        wanted = defaultdict(list)
        for sample in samples:
            for part in sample.parts:
                wanted[part.uri].append((part.start_frame, part.num_frames))
        self._wanted = dict(wanted)

    def clip(self, sample: PlannedSample) -> np.ndarray:
        """The sample's first ``read_frames`` frames, float32 (channels, read_frames).

        UserError when a recording is gone, changed, damaged or shorter than planned.
        """
        pieces = [self._part(part) for part in sample.parts]
        clip = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        if clip.shape[1] < sample.read_frames:
            raise UserError(
                f"the parts give {clip.shape[1]} frames where the plan needs {sample.read_frames}; scan and plan again"
            )
        return np.ascontiguousarray(clip[:, : sample.read_frames])

    def _part(self, part: Part) -> np.ndarray:
        """One part with the channels and the rate of the corpus."""
        audio = self._stretch(part)
        if self.channels == 1 or audio.shape[0] > 2:
            audio = mix_down(audio, _active(part))
        audio = resample(audio, part.sample_rate, self.sample_rate)
        return audio if audio.shape[0] == self.channels else np.repeat(audio, self.channels, axis=0)

    def _stretch(self, part: Part) -> np.ndarray:
        """The part's frames as decoded."""
        stretch = (part.start_frame, part.num_frames)
        wanted = self._wanted.get(part.uri, [])
        if stretch in wanted:
            wanted.remove(stretch)
        kept = self._kept.get((part.uri, stretch))
        if kept is not None:
            if stretch not in wanted:
                self._bytes -= self._kept.pop((part.uri, stretch)).nbytes
            return kept
        several = bool(wanted) and not part.recording.lower().endswith(_SOUGHT)
        return self._opened(part, lambda source: self._cut(part, source, stretch, wanted if several else []))

    def _cut(self, part: Part, source, stretch: Stretch, later: Sequence[Stretch]) -> np.ndarray:
        """Decode this stretch; where later ones are given, decode the recording once for as many of them as may be kept."""
        copied = self._copied(part, source)
        if copied is not None:
            return copied
        if not later:
            audio, rate = read_audio(source, part.start_frame, part.num_frames, name=part.recording)
            _check_rate(part, rate)
            return audio
        room = (self._kept_bytes - self._bytes) // (4 * part.channels)
        chosen = [stretch]
        for other in later:
            if other not in chosen and other[1] <= room:
                chosen.append(other)
                room -= other[1]
        found = _one_pass(part, source, chosen)
        if stretch not in found:
            raise UserError(f"{part.recording} is shorter than the catalog says; scan and plan again")
        for other, audio in found.items():
            if other != stretch or stretch in later:
                self._kept[part.uri, other] = audio
                self._bytes += audio.nbytes
        return found[stretch]

    def _copied(self, part: Part, source) -> np.ndarray | None:
        """The stretch out of this machine's decoded copy, where the recording is long, not sought in, and known by content."""
        if self._spool is None or not part.sha256 or part.recording.lower().endswith(_SOUGHT):
            return None
        if part.start_frame + part.num_frames < _SPOOLED_S * part.sample_rate:
            return None
        found = self._spool.stretch(part.sha256, source, part.recording, part.start_frame, part.num_frames)
        if found is None:
            return None
        audio, rate = found
        _check_rate(part, rate)
        if audio.shape[1] < part.num_frames:
            raise UserError(f"{part.recording} is shorter than the catalog says; scan and plan again")
        return audio

    def _opened(self, part: Part, action: Callable[[Any], np.ndarray]) -> np.ndarray:
        """Open the recording, check it against the catalog's hash, and decode. A source that is away stops the shard."""
        if is_remote(part.uri) or MEMBER_MARK in part.uri:
            return patiently("the source", f"give {part.recording}", lambda: self._from_stream(part, action))
        try:
            self._check_file(part)
            return action(part.uri)
        except FileNotFoundError:
            raise UserError(f"{part.recording} is gone; restore it, or scan and plan again") from None
        except PermissionError:
            raise UserError(f"{part.recording} may not be read; give this user the permission") from None
        except OSError as error:  # the disk or the mount, not the recording
            raise IncompleteError(f"reading {part.recording} failed: {error.strerror or error}; mend it and run again") from error

    def _from_stream(self, part: Part, action: Callable[[Any], np.ndarray]) -> np.ndarray:
        try:
            with open_uri(part.uri) as source:
                if isinstance(source, str):
                    return action(source)
                size = source.seek(0, os.SEEK_END)
                source.seek(0)
                if size > _HASHED_BYTES:
                    return action(source)
                data = source.read()
        except FileNotFoundError:
            raise UserError(f"{part.recording} is gone; restore it, or scan and plan again") from None
        if part.sha256 and hashlib.sha256(data).hexdigest() != part.sha256:
            raise _changed(part)
        return action(data)

    def _check_file(self, part: Part) -> None:
        stat = os.stat(part.uri)
        key = (part.uri, stat.st_size, stat.st_mtime_ns)
        if not part.sha256 or stat.st_size > _HASHED_BYTES or not os.path.isfile(part.uri):
            return
        if key not in self._checked:
            with open(part.uri, "rb") as file:
                self._checked[key] = hashlib.file_digest(file, "sha256").hexdigest()
            if len(self._checked) > _CHECKED_FILES:
                self._checked.popitem(last=False)
        if self._checked[key] != part.sha256:
            raise _changed(part)


def _one_pass(part: Part, source, chosen: Sequence[Stretch]) -> dict[Stretch, np.ndarray]:
    """Decode a recording once from its start and cut the chosen stretches out; those beyond its end are missing."""
    found: dict[Stretch, np.ndarray] = {}
    with open_blocks(source, name=part.recording) as reader:
        _check_rate(part, reader.sample_rate)
        for first, end in _unions(chosen):
            reader.skip(first - reader.position)
            audio = reader.read(end - first)
            for start, frames in chosen:
                if first <= start and start + frames <= first + audio.shape[1]:
                    found[start, frames] = np.ascontiguousarray(audio[:, start - first : start - first + frames])
    return found


def _active(part: Part) -> np.ndarray | None:
    """Which channels carry signal anywhere in the recording, so that all its samples are mixed alike."""
    if not part.active_mask:
        return None
    return np.array([part.active_mask >> channel & 1 for channel in range(part.channels)], bool)


def _changed(part: Part) -> UserError:
    return UserError(f"{part.recording} changed since it was scanned; restore it, or scan and plan again")


def _check_rate(part: Part, rate: int) -> None:
    if rate != part.sample_rate:
        raise UserError(f"{part.recording} has {rate} Hz, the catalog says {part.sample_rate}; scan and plan again")


def _unions(stretches: Iterable[Stretch]) -> list[tuple[int, int]]:
    """[start, end) intervals in order, overlapping stretches as one."""
    out: list[tuple[int, int]] = []
    for start, frames in sorted(stretches):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], start + frames))
        else:
            out.append((start, start + frames))
    return out
