"""FLAC of our own beside libsndfile: bytes and CPU time over real recordings, and inputs at random.

    python -m benchmarks.flac_codec FOLDER [--files 12] [--fuzz 1000000]

Every folder in FOLDER is one set. Of each some files, at most 131 072 samples of one channel and, where there are, of two, in 16
and 24 bits; what is written is decoded by both. CPU time of one thread for as many, medians of 5, the
two in turn. Inputs at random are small files with bytes changed or cut off; each is given to our reader, which must answer or
decline.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import soundfile

from stylefx.audio.flac import decode_flac, encode_flac
from stylefx.audio.quantise import quantise
from stylefx.audio.reading import open_blocks
from stylefx.errors import UserError

FRAMES = 131_072
SHORTEST = 4096
ENDINGS = (".ogg", ".opus", ".mp3", ".flac", ".wav")
SUBTYPES = {16: "PCM_16", 24: "PCM_24"}


def recordings(folder: Path, count: int) -> Iterator[tuple[np.ndarray, int]]:
    """Of so many files, spread evenly over the names, the middle of what they begin with: float32 (1 or 2, at
    most FRAMES), rate."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.stat().st_size > 20_000)
    for path in files[:: max(1, len(files) // count)][:count]:
        try:
            with open_blocks(path) as reader:
                audio, rate = reader.read(3 * FRAMES), reader.sample_rate
        except UserError:
            continue
        start = max(0, (audio.shape[1] - FRAMES) // 2)
        if audio[0, start : start + FRAMES].any():
            yield np.clip(audio[:2, start : start + FRAMES], -1.0, 0.9999), rate


def cpu_ms(*calls: Callable[[], object]) -> list[float]:
    spent: list[list[float]] = [[] for _ in calls]
    for _ in range(5):
        for times, call in zip(spent, calls, strict=True):
            began = time.process_time()
            call()
            times.append(time.process_time() - began)
    return [1e3 * statistics.median(times) for times in spent]


def measure(audio: np.ndarray, rate: int, bits: int) -> np.ndarray:
    """Bytes of ours and theirs, ms of encoding ours and theirs, of decoding ours and theirs (each its own file)."""
    samples = quantise(audio, bits)
    whole = samples.T if bits == 16 else samples.T >> 8

    def theirs() -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate, format="FLAC", subtype=SUBTYPES[bits])
        return buffer.getvalue()

    ours, other = encode_flac(whole, rate, bits), theirs()
    found, again = decode_flac(ours), soundfile.read(io.BytesIO(ours), dtype="float32", always_2d=True)[0].T
    if found is None or not np.array_equal(found[0], again):
        raise SystemExit("ours is read differently by libsndfile")
    encoding = cpu_ms(lambda: encode_flac(whole, rate, bits), theirs)
    decoding = cpu_ms(lambda: decode_flac(ours), lambda: soundfile.read(io.BytesIO(other), dtype="float32"))
    return np.array([len(ours), len(other), *(ms * FRAMES / audio.shape[1] for ms in (*encoding, *decoding))])


def fuzz(count: int) -> str:
    """Gives ``count`` broken files to the reader."""
    rng = np.random.default_rng(0)
    seeds = [
        encode_flac((rng.normal(0, 900, (channels, frames)).cumsum(1) / 8).astype(np.int32) << (bits - 16), 24000, bits)
        for bits in (16, 24)
        for channels in (1, 2)
        for frames in (40, 300, 5000)
    ]
    read = 0
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)][: 700 if number % 3 else None])
        for place in rng.integers(4, len(data), 1 + number % 6):
            data[place] = (number * 2654435761 >> 7) & 255
        read += decode_flac(bytes(data)) is not None
    return f"{count} inputs at random: {read} read, the others declined, no crash"


def line(name: str, channels: int, bits: int, rows: list[np.ndarray]) -> str:
    total = np.sum(rows, axis=0)
    each = " | ".join(f"{ms / len(rows):.2f}" for ms in total[2:])
    return f"| {name} | {len(rows)} | {channels} | {bits} | {total[0] / total[1]:.3f} | {each} |"


@click.command(help=__doc__.splitlines()[0])
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--files", default=12, help="Of each set.")
@click.option("--fuzz", "inputs", default=0, help="Inputs at random.")
def main(folder: Path, files: int, inputs: int) -> None:
    click.echo("| set | files | channels | bits | bytes of libsndfile's | encode ms | libsndfile | decode ms | libsndfile |")
    click.echo("|---|---|---|---|---|---|---|---|---|")
    sums: dict[tuple[int, int], list[np.ndarray]] = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        heard = [(audio, rate) for audio, rate in recordings(place, files) if audio.shape[1] >= SHORTEST]
        for channels in (1, 2):
            for bits in (16, 24):
                rows = [measure(a[:channels], rate, bits) for a, rate in heard if a.shape[0] >= channels]
                sums.setdefault((channels, bits), []).extend(rows)
                if rows:
                    click.echo(line(place.name, channels, bits, rows))
    for (channels, bits), rows in sums.items():
        if rows:
            click.echo(line("all", channels, bits, rows))
    if inputs:
        click.echo(fuzz(inputs))


if __name__ == "__main__":
    main()
