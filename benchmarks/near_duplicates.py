"""How well the fingerprint finds the same audio again, what it joins by mistake, and what it costs.

    python -m benchmarks.near_duplicates FOLDER --items 40 --others 2000

``--others`` recordings of the folder are compared with one another, and every pair that is joined is printed but those of equal
fingerprints; beside it stands how alike the waveforms are where they lie together best (1: the same, but for its level).
``--items``, a third of each length, are changed in nine ways (ffmpeg makes the transcodes) and looked up among all of them.
Times are CPU seconds of one process.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from pipelines.catalog.landmarks import RATE, LandmarkMeter
from pipelines.catalog.near import same_audio
from stylefx.audio import open_blocks, read_audio, resample
from stylefx.errors import UserError

ENDINGS = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
SHIFT_S, LONGEST_S, PART_S = 0.37, 40, 10
LENGTHS_S = {"under 1 s": (0, 1), "1 to 5 s": (1, 5), "longer": (5, float("inf"))}


def fingerprint(audio: np.ndarray, rate: int) -> np.ndarray:
    meter = LandmarkMeter(rate)
    for start in range(0, audio.shape[1], 65536):
        meter.add(audio[:, start : start + 65536])
    return meter.peaks()


def changes(audio: np.ndarray, rate: int, folder: Path) -> Iterator[tuple[str, np.ndarray, int]]:
    """(what was done, the audio, its rate)."""
    shift = round(SHIFT_S * rate)
    yield "-12 dB", audio / 4, rate
    yield "+12 dB", audio * 4, rate
    yield "0.37 s later", np.pad(audio, ((0, 0), (shift, 0))), rate
    yield "0.37 s earlier", audio[:, shift:], rate
    for other in (16000, 48000):
        yield f"at {other} Hz", resample(audio, rate, other), other
    soundfile.write(folder / "x.wav", audio.T, rate, subtype="FLOAT")
    for name, options in (("MP3 64k", ["-b:a", "64k", "x.mp3"]), ("Opus 24k", ["-b:a", "24k", "x.opus"])):
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", "x.wav", *options]
        subprocess.run(command, cwd=folder, check=True)
        yield (name, *read_audio(folder / options[-1]))
    if audio.shape[1] > (PART_S + 5) * rate:
        part = audio[:, 3 * rate : (3 + PART_S) * rate]
        yield "10 s of it", part, rate


def recall(files: list[Path], among: list[np.ndarray]) -> None:
    """Print how many of the changed files are found to be what they were, of the ``among`` recordings and all the files."""
    bases, seconds, changed = [], [], defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            try:
                audio, rate = read_audio(file, whole=False)
                audio = audio[:, : LONGEST_S * rate]
                made = [(name, fingerprint(*what)) for name, *what in changes(audio, rate, Path(folder))]
            except (UserError, subprocess.CalledProcessError):
                continue
            for name, peaks in made:
                changed[name].append((len(bases), peaks))
            bases.append(fingerprint(audio, rate))
            seconds.append(audio.shape[1] / rate)
    print("change".ljust(16) + "".join(name.rjust(16) for name in LENGTHS_S))
    known = [*among, *bases]
    for name, items in changed.items():
        pairs = set(same_audio([*known, *(peaks for _, peaks in items)]))
        hits = [(seconds[base], (len(among) + base, len(known) + i) in pairs) for i, (base, _) in enumerate(items)]
        shown = []
        for low, high in LENGTHS_S.values():
            mine = [hit for length, hit in hits if low <= length < high]
            shown.append(f"{sum(mine)} of {len(mine)}".rjust(16))
        print(name.ljust(16) + "".join(shown), flush=True)


def chosen(files: list[Path], items: int) -> list[Path]:
    """The first of the files, equally many of every length."""
    out = {name: [] for name in LENGTHS_S}
    for file in files:
        with suppress(UserError), open_blocks(file) as reader:
            length = reader.info.frames / reader.sample_rate
            mine = next(out[name] for name, (low, high) in LENGTHS_S.items() if low <= length < high)
            if len(mine) < items // len(out):
                mine.append(file)
        if all(len(some) == items // len(out) for some in out.values()):
            break
    return [file for some in out.values() for file in some]


def compared(files: list[Path]) -> list[np.ndarray]:
    """Print what is joined among the files, and what that costs; gives their fingerprints."""
    peaks, names, seconds, taken = [], [], 0.0, 0.0
    for file in files:
        try:
            with open_blocks(file) as reader:
                meter, frames = LandmarkMeter(reader.sample_rate), 0
                for block in reader:
                    begun = time.process_time()
                    meter.add(block)
                    taken, frames = taken + time.process_time() - begun, frames + block.shape[1]
            begun = time.process_time()
            peaks.append(meter.peaks())
            taken, seconds = taken + time.process_time() - begun, seconds + frames / reader.sample_rate
            names.append(file)
        except UserError:
            continue
    begun = time.process_time()
    pairs = same_audio(peaks)
    print(f"{len(names)} recordings, {seconds / 3600:.2f} h; fingerprint {taken / (seconds / 3600):.2f} CPU s an hour of audio, ")
    print(f"comparison {time.process_time() - begun:.2f} CPU s, {sum(map(len, peaks)) / seconds:.1f} peaks a second")
    other = [(a, b) for a, b in pairs if not np.array_equal(peaks[a], peaks[b])]
    for a, b in other:
        print(f"joined: {alike(names[a], names[b]):.3f}  {names[a]}  {names[b]}")
    print(f"{len(pairs)} pairs joined, {len(pairs) - len(other)} of them of equal fingerprints", flush=True)
    return peaks


def alike(a: Path, b: Path) -> float:
    """Correlation of two recordings at 8 kHz, at the offset where it is largest, over the stretch that both then cover."""
    x, y = (mono(path) for path in (a, b))
    shared = scipy.signal.correlate(x, y, method="fft")
    lag = int(np.argmax(np.abs(shared))) - len(y) + 1
    x, y = x[max(lag, 0) :], y[max(-lag, 0) :]
    x, y = x[: len(y)], y[: len(x)]
    return float(abs(x @ y) / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-12))


def mono(path: Path) -> np.ndarray:
    audio, rate = read_audio(path, whole=False)
    return resample(audio[:, : LONGEST_S * rate].mean(axis=0, keepdims=True), rate, RATE)[0].astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--others", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    files = sorted(
        p for p in options.folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file() and p.stat().st_size > 3000
    )
    random.Random(options.seed).shuffle(files)
    recall(chosen(files, options.items), compared(files[: options.others]))


if __name__ == "__main__":
    main()
