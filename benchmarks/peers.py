"""What one would write today without this project: two corpus scripts out of common parts, for comparison.

Each makes the same kind of pairs: a stretch of a recording, pitch and tempo, EQ and compressor on both branches, four
FLAC halves, loudness of both, written by webdataset's ShardWriter from a pool of processes.

    python -m benchmarks.peers --route audiomentations --pairs 96 --sources DIR --out DIR
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
import soundfile
from numba import njit
from scipy.signal import lfilter

RATE, HALF = 24000, 131072


@njit(cache=True)
def compress(x, rate, threshold_db, ratio, attack_ms, release_ms, makeup_db):
    """A plain compressor, one sample after another, as such scripts have it."""
    out = np.empty_like(x)
    attack = np.exp(-np.log(9.0) / (rate * attack_ms * 1e-3))
    release = np.exp(-np.log(9.0) / (rate * release_ms * 1e-3))
    gain_db = 0.0
    for n in range(len(x)):
        level_db = 20.0 * np.log10(max(abs(x[n]), 1e-8))
        wanted_db = min(0.0, (threshold_db - level_db) * (1.0 - 1.0 / ratio))
        speed = attack if wanted_db < gain_db else release
        gain_db = speed * gain_db + (1.0 - speed) * wanted_db
        out[n] = x[n] * 10.0 ** ((gain_db + makeup_db) / 20.0)
    return out


def peak_filter(gain_db, cutoff_hz, q):
    """Bristow-Johnson's peaking filter."""
    a = 10.0 ** (gain_db / 40.0)
    w = 2.0 * np.pi * cutoff_hz / RATE
    alpha = np.sin(w) / (2.0 * q)
    return (
        np.array([1 + alpha * a, -2 * np.cos(w), 1 - alpha * a]) / (1 + alpha / a),
        np.array([1 + alpha / a, -2 * np.cos(w), 1 - alpha / a]) / (1 + alpha / a),
    )


def equalise(x, rng):
    for low, high in ((40, 200), (200, 2000), (800, 4000), (2000, 8000), (4000, 10000), (4000, 10000)):
        b, a = peak_filter(rng.uniform(-12, 12), rng.uniform(low, high), rng.uniform(0.3, 6.0))
        x = lfilter(b, a, x)
    return x


def stretch_pyrubberband(x, cents, tempo):
    import pyrubberband

    return pyrubberband.time_stretch(pyrubberband.pitch_shift(x, RATE, cents / 100.0), RATE, tempo)


def stretch_audiomentations(x, cents, tempo):
    import audiomentations

    pitch = audiomentations.PitchShift(cents / 100.0, cents / 100.0, p=1.0)
    speed = audiomentations.TimeStretch(tempo, tempo, leave_length_unchanged=False, p=1.0)
    return speed(pitch(x, RATE), RATE)


STRETCH = {"pyrubberband": stretch_pyrubberband, "audiomentations": stretch_audiomentations}


def make_pair(job):
    """(route, number, files) -> (webdataset sample, seconds per stage)."""
    import pyloudnorm

    route, number, files = job
    rng = np.random.default_rng(number)
    seconds = {}

    def lap(name, since):
        now = time.perf_counter()
        seconds[name] = seconds.get(name, 0.0) + now - since
        return now

    t = time.perf_counter()
    cents, tempo = rng.uniform(-200, 200), rng.uniform(0.8, 1.2)
    path = files[number % len(files)]
    frames = int(np.ceil(2 * HALF * tempo)) + 64
    start = int(rng.integers(0, soundfile.info(path).frames - frames))
    clip, _ = soundfile.read(path, frames, start, dtype="float32")
    t = lap("read", t)
    clip = STRETCH[route](clip / max(np.abs(clip).max(), 1e-8) * 0.25, cents, tempo)
    clip = np.pad(clip, (0, max(0, 2 * HALF - len(clip))))[: 2 * HALF]
    t = lap("pitch + tempo", t)
    branches = {}
    for name in ("input", "target"):
        x = equalise(clip, rng)
        x = compress(
            x / np.abs(x).max() * 0.25,
            RATE,
            rng.uniform(-64, -12),
            rng.uniform(1, 11),
            rng.uniform(1, 50),
            rng.uniform(50, 250),
            rng.uniform(0, 6),
        )
        branches[name] = x / np.abs(x).max() * 0.25
    t = lap("effects", t)
    meter = pyloudnorm.Meter(RATE)
    metrics = {name: meter.integrated_loudness(x) for name, x in branches.items()}
    t = lap("loudness", t)
    sample = {"__key__": f"{number:08d}", "json": json.dumps(metrics).encode()}
    for name, x in branches.items():
        for half, piece in (("a", x[:HALF]), ("b", x[HALF:])):
            buffer = io.BytesIO()
            soundfile.write(buffer, piece, RATE, format="FLAC", subtype="PCM_16")
            sample[f"{half}.{name}.flac"] = buffer.getvalue()
    lap("encode", t)
    return sample, seconds


def run(route: str, pairs: int, sources: Path, out: Path, workers: int) -> dict:
    """Make the pairs; rate in the steady state (after one round of warm-up), seconds per stage and pair."""
    import webdataset

    files = sorted(map(str, sources.rglob("*.flac")))
    out.mkdir(parents=True, exist_ok=True)
    warm, seconds, moments = 2 * workers, {}, []
    writer = webdataset.ShardWriter(str(out / "train-%06d.tar"), maxcount=64, verbose=0)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for sample, stages in pool.imap_unordered(make_pair, [(route, n, files) for n in range(pairs + warm)]):
            writer.write(sample)
            moments.append(time.perf_counter())
            if len(moments) > warm:
                for name, s in stages.items():
                    seconds[name] = seconds.get(name, 0.0) + s
    writer.close()
    rate = (len(moments) - warm) / (moments[-1] - moments[warm - 1])
    return {"rate": rate, "stages_ms": {name: 1000 * s / pairs for name, s in seconds.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--route", choices=sorted(STRETCH), required=True)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(json.dumps(run(options.route, options.pairs, options.sources, options.out, options.workers)))


if __name__ == "__main__":
    main()
