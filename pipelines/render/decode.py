"""From planned parts to one clip at the corpus' rate.

What a clip is made of does not depend on what else the shard holds: stretches are cut first, mixed and resampled after.
Of formats that cannot be sought in, long recordings are decoded once per machine (see ``decode_spool``), the others once for all
stretches that a shard needs.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.plan.samples import PlannedSample, RecordingPart
from pipelines.render.stretched import Recent
from pipelines.sources.decoded import Spool
from pipelines.sources.files import stat_uri
from pipelines.sources.listing import open_uri
from pipelines.sources.unchanged import digest_on_this_machine
from pipelines.sources.uris import is_file_of_its_own, split_stretch
from stylefx.audio import mix_down, open_blocks, read_audio, resample
from stylefx.audio.sources import Source
from stylefx.errors import IncompleteError, UserError
from stylefx.files.address import is_remote
from stylefx.files.patience import with_patience

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
        self._checked: OrderedDict[tuple[Any, ...], str] = OrderedDict()
        self._large: dict[str, str] = {}
        self.recent = Recent()

    def expect(self, samples: Iterable[PlannedSample]) -> None:
        """Note which stretches of which recordings come, in order; drop what was kept for an earlier shard."""
        self._kept.clear()
        self._large.clear()
        self._bytes = 0
        wanted = defaultdict(list)
        for sample in samples:
            for part in _parts_of(sample):
                wanted[part.uri].append(_stretch_of(part))
        self._wanted = dict(wanted)

    def check_large(self, samples: Iterable[PlannedSample]) -> None:
        """Hash the recordings of 64 MB and more that the coming shard uses, once for this machine. Before a shard and outside
        the time limits of its samples: one that changed fails when it is opened, and is named."""
        for sample in samples:
            for part in _parts_of(sample):
                if part.sha256 and part.uri not in self._large and _size(part.uri) > _HASHED_BYTES:
                    self._large[part.uri] = _digest_of_large(part)

    def clip(self, sample: PlannedSample) -> np.ndarray:
        """The sample's first ``read_frames`` frames, float32 (channels, read_frames).

        UserError when a recording is gone, changed, damaged or shorter than planned.
        """
        return self._joined(sample, [self._part(part) for part in sample.parts])

    def pair(self, sample: PlannedSample) -> np.ndarray:
        """The same of what somebody made of the recordings."""
        return self._joined(sample, [self._part(part.of_target()) for part in sample.parts])

    @staticmethod
    def _joined(sample: PlannedSample, pieces: list[np.ndarray]) -> np.ndarray:
        clip = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        if clip.shape[1] < sample.read_frames:
            raise UserError(
                f"the parts give {clip.shape[1]} frames where the plan needs {sample.read_frames}; scan and plan again"
            )
        return np.ascontiguousarray(clip[:, : sample.read_frames])

    def _part(self, part: RecordingPart) -> np.ndarray:
        """One part with the channels and the rate of the corpus."""
        audio = self._stretch(part)
        if self.channels == 1 or audio.shape[0] > 2:
            audio = mix_down(audio, _active(part, len(audio)))
        audio = resample(audio, part.sample_rate, self.sample_rate)
        return audio if audio.shape[0] == self.channels else np.repeat(audio, self.channels, axis=0)

    def _stretch(self, part: RecordingPart) -> np.ndarray:
        """The part's frames as decoded."""
        stretch = _stretch_of(part)
        wanted = self._wanted.get(part.uri, [])
        if stretch in wanted:
            wanted.remove(stretch)
        kept = self._kept.get((part.uri, stretch))
        if kept is not None:
            if stretch not in wanted:
                self._bytes -= self._kept.pop((part.uri, stretch)).nbytes
            return kept
        several = bool(wanted) and not _is_sought(part)
        return self._opened(part, lambda source: self._cut(part, source, stretch, wanted if several else []))

    def _cut(self, part: RecordingPart, source: Source, stretch: Stretch, later: Sequence[Stretch]) -> np.ndarray:
        """Decode this stretch; where later ones are given, decode the recording once for as many of them as may be kept."""
        copied = self._copied(part, source)
        if copied is not None:
            return copied
        if not later:
            audio, rate = read_audio(source, *_stretch_of(part), name=part.recording)
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

    def _copied(self, part: RecordingPart, source: Source) -> np.ndarray | None:
        """The stretch out of this machine's decoded copy, where the recording is long, not sought in, and known by content."""
        if self._spool is None or not part.sha256 or _is_sought(part):
            return None
        if sum(_stretch_of(part)) < _SPOOLED_S * part.sample_rate:
            return None
        found = self._spool.stretch(part.sha256, source, part.recording, *_stretch_of(part))
        if found is None:
            return None
        audio, rate = found
        _check_rate(part, rate)
        if audio.shape[1] < part.num_frames:
            raise UserError(f"{part.recording} is shorter than the catalog says; scan and plan again")
        return audio

    def _opened(self, part: RecordingPart, action: Callable[[Any], np.ndarray]) -> np.ndarray:
        """Open the recording, check it against the catalog's hash, and decode. A source that is away stops the shard."""
        if self._large.get(part.uri, part.sha256) != part.sha256:
            raise _changed(part)
        if is_remote(part.uri) or not is_file_of_its_own(part.uri):
            return with_patience("the source", f"give {part.recording}", lambda: self._from_stream(part, action))
        try:
            self._check_file(part)
            return action(part.uri)
        except FileNotFoundError:
            raise UserError(f"{part.recording} is gone; restore it, or scan and plan again") from None
        except PermissionError:
            raise UserError(f"{part.recording} may not be read; give this user the permission") from None
        except OSError as error:  # the disk or the mount, not the recording
            raise IncompleteError(f"reading {part.recording} failed: {error.strerror or error}; mend it and run again") from error

    def _from_stream(self, part: RecordingPart, action: Callable[[Any], np.ndarray]) -> np.ndarray:
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

    def _check_file(self, part: RecordingPart) -> None:
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


def _parts_of(sample: PlannedSample) -> Iterator[RecordingPart]:
    """All that is decoded for a sample."""
    for part in sample.parts:
        yield part
        if part.target_uri:
            yield part.of_target()
    for reference in sample.references:
        yield from reference.sample.parts


def _size(uri: str) -> int:
    """Of what a recording's bytes are read from; a member's archive is not hashed here."""
    return stat_uri(uri)[0] if is_file_of_its_own(uri) else 0


def _digest_of_large(part: RecordingPart) -> str:
    try:
        return digest_on_this_machine(part.uri)
    except FileNotFoundError:
        return part.sha256  # opening it says so
    except OSError as error:
        raise IncompleteError(f"reading {part.recording} failed: {error.strerror or error}; mend it and run again") from error


def _one_pass(part: RecordingPart, source: Source, chosen: Sequence[Stretch]) -> dict[Stretch, np.ndarray]:
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


def _is_sought(part: RecordingPart) -> bool:
    """Whether the file is named like one in which a frame can be addressed."""
    return split_stretch(part.recording)[0].lower().endswith(_SOUGHT)


def _stretch_of(part: RecordingPart) -> Stretch:
    """Where the part lies in its file, of which the recording may be a stretch itself."""
    return part.origin_frame + part.start_frame, part.num_frames


def _active(part: RecordingPart, channels: int) -> np.ndarray | None:
    """Which channels carry signal anywhere in the recording, so that all its samples are mixed alike."""
    if not part.active_mask or channels != part.channels:
        return None
    return np.array([part.active_mask >> channel & 1 for channel in range(part.channels)], bool)


def _changed(part: RecordingPart) -> UserError:
    return UserError(f"{part.recording} changed since it was scanned; restore it, or scan and plan again")


def _check_rate(part: RecordingPart, rate: int) -> None:
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
