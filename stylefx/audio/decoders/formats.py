"""Who reads a file, by how it begins, and where a frame of it can be addressed."""

from __future__ import annotations

#: formats of libsndfile that are guessed from anything, or have no header
UNREAD_FORMATS = frozenset(("RAW", "SD2", "XI", "WVE", "MPC2K", "MAT4", "MAT5"))

#: encodings of a fixed number of bytes a frame, and FLAC: only there libsndfile reaches the frame that it was asked for
_ADDRESSABLE = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_SEQUENTIAL_FORMATS = frozenset(("OGG", "MP3", "MPEG", "SDS", "PAF"))

#: how files begin that libsndfile does not know; (offset, bytes)
_LIBAV_MAGIC = (
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1a\x45\xdf\xa3"), (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (0, b"wvpk"),
    (0, b"MAC "), (0, b"TTA1"), (0, b"MPCK"), (0, b"MP+"), (0, b"#!AMR"), (0, b"ADIF"), (0, b"\x0b\x77"), (0, b"DSD "),
)  # fmt: skip


def addressable(container: str, subtype: str) -> bool:
    """Whether a seek in such a file of libsndfile lands where it should (the tests compare every one with the full decode)."""
    if container in _SEQUENTIAL_FORMATS:
        return False
    return container == "FLAC" or subtype.startswith(_ADDRESSABLE)


def is_libavs(head: bytes, name: str) -> bool:
    """Whether a file that begins so is one that only libav reads."""
    if any(head[at : at + len(magic)] == magic for at, magic in _LIBAV_MAGIC):
        return True
    adts = len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0  # AAC; layer 0, which MPEG audio never has
    return adts or (head.startswith(b"ID3") and name.lower().endswith(".aac"))
