"""The Free Music Archive's table of tracks as a list of recordings: path, artist, genre and the licence of each track.

``fma_metadata/tracks.csv`` has a header of two rows (the table that a column belongs to, its name), a row that names the index,
then a row a track. The audio of track 2 is ``fma_small/000/000002.mp3``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from stylefx.errors import DamageError
from stylefx.files.atomic import write_whole
from stylefx.licences import spdx

_TABLE = "fma_metadata/tracks.csv"
_COLUMNS = {
    "title": ("track", "title"),
    "artist": ("artist", "name"),
    "artist_id": ("artist", "id"),
    "album": ("album", "title"),
    "genre": ("track", "genre_top"),
    "language": ("track", "language_code"),
    "licence": ("track", "license"),
    "split": ("set", "split"),
}


def write_list(folder: Path) -> Path:
    """``folder/fma.csv``, the tracks whose audio is there, in order. DamageError where the table is another."""
    target, table = folder / "fma.csv", folder / _TABLE
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["path", *_COLUMNS, "attribution"])
    writer.writeheader()
    writer.writerows(_rows(folder, table))
    write_whole(target, out.getvalue().encode())
    return target


def _rows(folder: Path, table: Path) -> Iterator[dict[str, str]]:
    audio = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name.startswith("fma_") and p.name != "fma_metadata")
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = list(zip(next(reader, []), next(reader, []), strict=False))
        missing = [name for name in (_COLUMNS["licence"], _COLUMNS["artist"]) if name not in names]
        if missing:
            raise DamageError(f"{table} has no column {'.'.join(missing[0])}; it is not the table of tracks that FMA publishes")
        at = {ours: names.index(theirs) for ours, theirs in _COLUMNS.items() if theirs in names}
        for row in reader:
            if not row or not row[0].isdigit():
                continue
            number = f"{int(row[0]):06d}"
            for name in audio:
                path = f"{name}/{number[:3]}/{number}.mp3"
                if (folder / path).is_file():
                    yield _row(path, {ours: row[i].strip() for ours, i in at.items()})


def _row(path: str, columns: dict[str, str]) -> dict[str, str]:
    credit = " - ".join(filter(None, (columns.get("artist"), columns.get("title"))))
    return {
        **columns,
        "path": path,
        "licence": spdx(columns["licence"]) or "unknown",
        "attribution": f"{credit} (Free Music Archive)",
    }
