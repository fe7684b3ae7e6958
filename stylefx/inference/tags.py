"""What a recording carries beside its samples: chunks of WAV (BWF time reference, iXML, markers), tags and covers.

Between WAV files whole chunks are copied as they are. Everything else goes through mutagen, which is not always installed.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stylefx.errors import UserError
from stylefx.extras import install_line

#: chunks that hold for audio of the same rate and length
KEPT_CHUNKS = frozenset({b"bext", b"iXML", b"axml", b"LIST", b"cue ", b"smpl", b"id3 ", b"ID3 "})
_LARGEST_RIFF = 2**32 - 1
_BEXT = {"description": (0, 256), "originator": (256, 32), "originator_reference": (288, 32), "origination_date": (320, 10)}
_BEXT |= {"origination_time": (330, 8)}
_TIME_REFERENCE = 338  # uint64, samples since midnight (EBU Tech 3285)

#: name in Vorbis comments -> (ID3v2 frame, MP4 atom)
_NAMES = {
    "title": ("TIT2", "\xa9nam"), "artist": ("TPE1", "\xa9ART"), "album": ("TALB", "\xa9alb"), "date": ("TDRC", "\xa9day"),
    "genre": ("TCON", "\xa9gen"), "albumartist": ("TPE2", "aART"), "composer": ("TCOM", "\xa9wrt"), "tracknumber": ("TRCK", ""),
    "discnumber": ("TPOS", ""), "isrc": ("TSRC", ""), "copyright": ("TCOP", "cprt"),
}  # fmt: skip


def wav_chunks(path: str | Path) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of the chunks of a RIFF WAV file that are kept; nothing for other files."""
    with open(path, "rb") as file:
        if not _begins_as_wav(file.read(12)):
            return
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name in KEPT_CHUNKS:
                content = file.read(size)
                file.seek(size % 2, 1)
                if len(content) == size:
                    yield name, content
            else:
                file.seek(size + size % 2, 1)


def _begins_as_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _only_chunks(path: str | Path) -> bool:
    """Whether a file is a WAV without ID3, in which mutagen, a twentieth of a second to import, would find nothing."""
    with open(path, "rb") as file:
        wav = _begins_as_wav(file.read(12))
    return wav and all(name.lower() != b"id3 " for name, _ in wav_chunks(path))


def append_chunks(path: str | Path, chunks: list[tuple[bytes, bytes]]) -> None:
    """Put chunks after those that a RIFF WAV file has; a file that they would make too large stays as it is."""
    data = b"".join(struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2) for name, content in chunks)
    with open(path, "r+b") as file:
        end = file.seek(0, 2)
        if not data or end + len(data) - 8 > _LARGEST_RIFF:
            return
        file.seek(0)
        if file.read(4) != b"RIFF":
            return
        file.seek(end)
        file.write(data)
        file.seek(4)
        file.write(struct.pack("<I", end + len(data) - 8))


def carry_over(source: str | Path, target: Path, suffix: str) -> None:
    """Give a finished file (named ``suffix`` some day) what ``source`` carries. UserError where that needs mutagen."""
    if suffix == ".wav" and (chunks := list(wav_chunks(source))):
        append_chunks(target, chunks)
        return
    fields, covers = _read(source)
    if fields or covers:
        _write(target, suffix, fields, covers)


def has_tags(source: str | Path) -> bool:
    """Whether there is anything to carry over that can be read here."""
    fields, covers = _read(source)
    return bool(fields or covers)


def _read(source: str | Path) -> tuple[dict[str, list[str]], list[tuple[str, bytes]]]:
    """Tags by their Vorbis names, and covers as (MIME type, bytes)."""
    fields = {name: [value] for name, value in _broadcast(source).items()}
    if _only_chunks(source):
        return fields, []
    try:
        import mutagen
    except ImportError:
        return fields, []
    try:
        found = mutagen.File(source)
    except mutagen.MutagenError:  # what cannot be read carries nothing
        return fields, []
    if found is None or found.tags is None:
        return fields, list(_pictures(getattr(found, "pictures", ())))
    tags = found.tags
    if hasattr(tags, "getall"):
        return fields | _from_id3(tags), [(p.mime, p.data) for p in tags.getall("APIC")]
    if type(tags).__name__ == "MP4Tags":
        named = {name: [str(v) for v in tags[atom]] for name, (_, atom) in _NAMES.items() if atom in tags}
        return fields | named, [("image/png" if c.imageformat == 14 else "image/jpeg", bytes(c)) for c in tags.get("covr", ())]
    named = {k.lower(): [str(v) for v in tags[k]] for k in tags.keys()}  # noqa: SIM118 (not a mapping in every format)
    covers = [*_pictures(getattr(found, "pictures", ())), *_embedded(named.pop("metadata_block_picture", []))]
    return fields | named, covers


def _pictures(pictures: Any) -> Iterator[tuple[str, bytes]]:
    return ((p.mime, p.data) for p in pictures)


def _embedded(blocks: list[str]) -> Iterator[tuple[str, bytes]]:
    """Covers in Ogg comments: FLAC pictures in base64."""
    from mutagen.flac import Picture, error

    for block in blocks:
        try:
            picture = Picture(base64.b64decode(block))
        except (binascii.Error, error):
            continue
        yield picture.mime, picture.data


def _from_id3(tags: Any) -> dict[str, list[str]]:
    out = {name: [str(t) for t in tags[frame].text] for name, (frame, _) in _NAMES.items() if frame in tags}
    out |= {frame.desc.lower(): [str(t) for t in frame.text] for frame in tags.getall("TXXX")}
    comments = [str(t) for frame in tags.getall("COMM") for t in frame.text]
    return out | ({"comment": comments} if comments else {})


def _broadcast(source: str | Path) -> dict[str, str]:
    """The fields of a BWF file by the names that ffmpeg gives them."""
    content = next((c for name, c in wav_chunks(source) if name == b"bext"), b"")
    if len(content) < _TIME_REFERENCE + 8:
        return {}
    texts = {name: content[a : a + n].split(b"\0")[0].decode("latin-1").strip() for name, (a, n) in _BEXT.items()}
    texts["time_reference"] = str(struct.unpack_from("<Q", content, _TIME_REFERENCE)[0])
    return {name: text for name, text in texts.items() if text}


def _write(target: Path, suffix: str, fields: dict[str, list[str]], covers: list[tuple[str, bytes]]) -> None:
    try:
        from mutagen import id3
        from mutagen.aiff import AIFF
        from mutagen.flac import FLAC, Picture
        from mutagen.wave import WAVE
    except ImportError as error:
        raise UserError(
            f"keeping the input's tags in {suffix} needs the package mutagen: {install_line('tags')}, or give --no-tags"
        ) from error
    if suffix == ".flac":
        flac = FLAC(target)
        flac.update(fields)
        for mime, data in covers:
            picture = Picture()
            picture.type, picture.mime, picture.data = 3, mime, data
            flac.add_picture(picture)
        flac.save()
        return
    file: Any = (WAVE if suffix == ".wav" else AIFF)(target)
    if file.tags is None:
        file.add_tags()
    for name, values in fields.items():
        frame = _NAMES.get(name, ("", ""))[0]
        added = getattr(id3, frame)(encoding=3, text=values) if frame else id3.TXXX(encoding=3, desc=name, text=values)
        file.tags.add(added)
    for mime, data in covers:
        file.tags.add(id3.APIC(encoding=3, mime=mime, type=3, desc="", data=data))
    file.save()
