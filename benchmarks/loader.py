"""Our loader and webdataset's WebLoader over the same tars: items per second of wall time and of CPU time.

    python -m benchmarks.loader [--items 256] [--workers 2] [--rounds 5]

An item is four halves of 131072 samples. "ours, as trained" reads what a training step uses (three halves). Contenders take
turns; medians over the rounds. CPU time counts the main process and its workers.
"""

from __future__ import annotations

import argparse
import io
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile as sf

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.reader import open_corpus
from tests.support.stored_corpus import write_index, write_shard

HALF, RATE, SHARD = 131072, 24000, 32
HALVES = ("a.input", "b.input", "a.target", "b.target")
TARS = {"FLAC 16 bit": ("flac", "PCM_16"), "FLAC 24 bit": ("flac", "PCM_24"), "WAV 16 bit": ("wav", "PCM_16")}


def write_tars(root: Path, items: int, extension: str, subtype: str = "PCM_16") -> Path:
    """A corpus of recordings-like noise: coloured, with pauses, so that FLAC has something to do (about 0.55 of PCM)."""
    rng, entries = np.random.default_rng(0), []
    pool = []
    for _ in range(8):
        noise = np.cumsum(rng.standard_normal(HALF)) * 1e-3
        noise = np.diff(noise, prepend=0) + 0.2 * np.sin(np.arange(HALF) * rng.uniform(0.02, 0.2))
        noise *= np.clip(np.sin(np.arange(HALF) / 9000 + rng.uniform(0, 6)), 0.01, None)
        buffer = io.BytesIO()
        sf.write(buffer, 0.25 * noise / np.abs(noise).max(), RATE, format=extension.upper(), subtype=subtype)
        pool.append(buffer.getvalue())
    for shard in range(-(-items // SHARD)):
        samples = []
        for i in range(shard * SHARD, min((shard + 1) * SHARD, items)):
            members = {f"{half}.{extension}": pool[(i + n) % len(pool)] for n, half in enumerate(HALVES)}
            samples.append((f"made-{i:016x}-{i:05d}", {**members, "json": b"{}"}))
        entries.append(write_shard(root, f"train/train-{shard:06d}", samples))
    write_index(root, entries, HALF, RATE, 1)
    return root


class FourHalves(TrainingSet):
    """Reads all four halves, as the peer does."""

    fields = HALVES

    def read(self, item):
        return item.corpus.read(item.ref, HALVES)


class FourLoader(TrainingLoader):
    """Hands out plain arrays instead of a training batch."""

    def _start(self, reader, positions):
        items = [self.data.item(p) for p in positions]
        out = np.empty((len(positions), len(HALVES), 1, HALF), np.float32)

        def fill(slot: int) -> None:
            for n, audio in enumerate(self.data.read(items[slot]).values()):
                out[slot, n] = audio

        return SimpleNamespace(batch=lambda: out), [reader.submit(fill, i) for i in range(len(positions))]


def ours(root: Path, items: int, workers: int, batch: int, four: bool) -> Iterator:
    data = (FourHalves if four else TrainingSet)([open_corpus(root)])
    loader = FourLoader if four else TrainingLoader
    return iter(loader(data, micro=batch, workers=workers, stop_step=items // batch))


def web_loader(root: Path, items: int, workers: int, batch: int, extension: str) -> Iterator:
    import webdataset as wds

    def decode(data: bytes) -> np.ndarray:
        return sf.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].T

    def take(sample: dict) -> np.ndarray:
        return np.stack([decode(sample[f"{half}.{extension}"]) for half in HALVES])

    urls = [str(p) for p in sorted((root / "train").glob("*.tar"))]
    data = wds.WebDataset(urls, shardshuffle=len(urls)).shuffle(64).map(take).batched(batch)
    return iter(wds.WebLoader(data, batch_size=None, num_workers=workers))


def measure(start: Callable[[], Iterator]) -> tuple[float, float, int]:
    """(wall seconds, CPU seconds, batches), start-up of workers included."""

    def cpu() -> float:
        return sum(u.ru_utime + u.ru_stime for u in (resource.getrusage(w) for w in (
            resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))  # fmt: skip

    wall, used, count = time.perf_counter(), cpu(), 0
    batches = start()
    for _ in batches:
        count += 1
    del batches
    return time.perf_counter() - wall, cpu() - used, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    a = parser.parse_args()
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        contenders: dict[tuple[str, str], Callable[[], Iterator]] = {}
        for kind, (extension, subtype) in TARS.items():
            root = write_tars(Path(folder) / kind.replace(" ", "-"), a.items, extension, subtype)
            contenders[kind, "WebLoader"] = lambda r=root, e=extension: web_loader(r, a.items, a.workers, a.batch, e)
            contenders[kind, "ours, four halves"] = lambda r=root: ours(r, a.items, a.workers, a.batch, True)
            contenders[kind, "ours, as trained"] = lambda r=root: ours(r, a.items, a.workers, a.batch, False)
        for number in range(a.rounds + 1):
            for name, start in contenders.items():
                wall, cpu, count = measure(start)
                if number:  # the first round warms caches
                    results.setdefault(name, []).append((count * a.batch / wall, count * a.batch / cpu))
    print(
        f"{platform.processor() or platform.machine()}, {a.workers} workers, {a.items} items of 4 x {HALF}, median of {a.rounds}"
    )
    print("| tars | loader | items/s | items per CPU second | x WebLoader (wall, CPU) |\n|---|---|---|---|---|")
    for (kind, name), rates in results.items():
        wall, cpu = (statistics.median(r[i] for r in rates) for i in (0, 1))
        peer = [statistics.median(r[i] for r in results[kind, "WebLoader"]) for i in (0, 1)]
        print(f"| {kind} | {name} | {wall:.0f} | {cpu:.0f} | {wall / peer[0]:.2f}, {cpu / peer[1]:.2f} |")


if __name__ == "__main__":
    main()
