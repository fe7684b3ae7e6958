"""Take the recordings out of what a game packs them into, so that manifests can name them, and drop the rest of the package.

    python scripts/unpack_recordings.py PACKAGE...      the folders of unpacked Debian packages

PACKAGE/unpacked/ then holds what PACKAGE/usr packs: audio files of zip archives (.zip, .pk3, .wz), the speech of queen.1c
(Flight of the Amazon Queen: a table of names, then MP3), and raw GSM prompts (.gsm, 8 kHz) as WAV. Of PACKAGE/usr there remain
audio files, the text that synthesise_voices.py reads, and usr/share/doc with the licences.
"""

from __future__ import annotations

import shutil
import struct
import sys
import zipfile
from pathlib import Path, PurePosixPath

AUDIO = frozenset((".ogg", ".opus", ".wav", ".mp3", ".flac"))
#: what is kept of a package; .page is the GNOME help's text
KEPT = AUDIO | {".page"}
ARCHIVES = frozenset((".zip", ".pk3", ".wz"))
#: queen.1c: its mark and version, the version of its compression, how many entries; then name, bundle, offset, size of each
QUEEN_HEADER, QUEEN_ENTRY = struct.Struct(">4s7sxBH"), struct.Struct(">12sBII")


def unzip(archive: Path, out: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            path = PurePosixPath(member.filename)
            if path.suffix.lower() in AUDIO and ".." not in path.parts and not path.is_absolute():
                target = out / archive.stem / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)


def unpack_queen(archive: Path, out: Path) -> None:
    data = archive.read_bytes()
    _, _, compression, count = QUEEN_HEADER.unpack_from(data)
    if compression != 1:
        raise ValueError(f"{archive} holds no MP3")
    folder = out / "speech"
    folder.mkdir(parents=True)
    for i in range(count):
        name, _, offset, size = QUEEN_ENTRY.unpack_from(data, QUEEN_HEADER.size + i * QUEEN_ENTRY.size)
        name = name.rstrip(b"\0").decode("ascii")
        if name.endswith(".SB"):
            (folder / name.replace(".SB", ".mp3")).write_bytes(data[offset : offset + size])


def decode_gsm(prompt: Path, out: Path) -> None:
    import soundfile  # here, so that the rest runs under a bare Python

    samples, rate = soundfile.read(prompt, dtype="int16", format="RAW", subtype="GSM610", samplerate=8000, channels=1)
    out.mkdir(parents=True, exist_ok=True)
    soundfile.write(out / f"{prompt.stem}.wav", samples, rate, subtype="PCM_16")


def unpack(package: Path) -> None:
    out = package / "unpacked"
    for path in sorted(package.joinpath("usr").rglob("*")):
        if path.suffix in ARCHIVES:
            unzip(path, out)
        elif path.name == "queen.1c":
            unpack_queen(path, out)
        elif path.suffix == ".gsm":
            decode_gsm(path, out / path.parent.name)


def drop_the_rest(package: Path) -> None:
    documents = package / "usr/share/doc"
    for path in package.joinpath("usr").rglob("*"):
        if (path.is_symlink() or path.is_file()) and path.suffix.lower() not in KEPT and documents not in path.parents:
            path.unlink()


def main(packages: list[Path]) -> int:
    for package in packages:
        try:
            unpack(package)
            drop_the_rest(package)
        except (OSError, ValueError, ImportError, struct.error, zipfile.BadZipFile) as error:
            print(f"unpack_recordings.py: cannot unpack {package}: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: unpack_recordings.py PACKAGE...")
    sys.exit(main([Path(p) for p in sys.argv[1:]]))
