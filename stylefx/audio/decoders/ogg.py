"""Ogg page by page: streams that were joined, pages that are missing, and a file that was cut.

libsndfile decodes the first stream of a chain and stops. Pages are numbered, and the last one of a stream says so (RFC 3533).
"""

from __future__ import annotations

import mmap
from typing import BinaryIO

from stylefx.audio.decoders.layout import Layout, Section, places, whole_bytes

_FIRST, _LAST = 2, 4


def ogg_layout(file: BinaryIO) -> Layout | None:
    """The streams of a chain as sections; None for what is no Ogg file."""
    data = whole_bytes(file)
    try:
        return _walk(data)
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


def _walk(data: bytes | mmap.mmap) -> Layout | None:
    at, end = 0, len(data)
    begins: list[int] = []
    garbage: list[tuple[int, int]] = []
    numbers: dict[int, int] = {}
    missing, kind, opening, cut = 0, 0, False, False
    while at < end:
        size = _page(data, at, end)
        if size == 0:
            found = data.find(b"OggS", at + 1)
            garbage.append((at, end if found < 0 else found))
            at = garbage[-1][1]
            continue
        if at + size > end:
            cut = True
            break
        kind = data[at + 5]
        if kind & _FIRST and not opening:
            begins.append(at)
        opening = bool(kind & _FIRST)
        serial, number = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (14, 18))
        if not opening and serial in numbers:
            missing += max(0, number - numbers[serial] - 1)
        numbers[serial] = number
        at += size
    if not begins:
        return None
    said = [places(len(garbage), sum(b - a for a, b in garbage), garbage[0][0], "Ogg pages")] if garbage else []
    if missing:
        said.append(f"{missing} pages of it are missing")
    if cut:
        said.append("it ends inside a page: it was cut")
    elif not kind & _LAST:
        said.append("its last page does not say that it is the last: it may have been cut")
    sections = tuple(Section(((a, b),)) for a, b in zip(begins, [*begins[1:], end], strict=True))
    return Layout(sections if len(sections) > 1 else (Section(),), 0, "; ".join(said))


def _page(data: bytes | mmap.mmap, at: int, end: int) -> int:
    """Bytes of the page that begins here; 0 for none."""
    if data[at : at + 4] != b"OggS" or at + 27 > end:
        return 0
    count = data[at + 26]
    return 27 + count + sum(data[at + 27 : at + 27 + count])
