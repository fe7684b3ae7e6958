"""An hour of 48 kHz stereo on one core: peak memory and real-time factor of render and transfer, as whole programs.

    python -m benchmarks.inference_hour [--minutes 60] [--model CKPT] [--format wav flac] [--folder DIR]

Each line is one process pinned to one core, start-up included. The real-time factor is CPU seconds per second of audio.
Without ``--model`` the transfer runs with a fresh ``tiny`` model (the same work as a trained one).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 48000
CHUNK_S = 30


def make_recording(path: Path, minutes: float, seed: int) -> None:
    """Stereo noise and tones under a slow and a fast envelope, in 16 bits; the loudness moves by 20 dB over minutes."""
    rng = np.random.default_rng(seed)
    t = np.arange(RATE * CHUNK_S) / RATE
    tone = sum(np.sin(2 * np.pi * 110 * k * t) / k for k in range(1, 30))
    envelope = np.clip(np.sin(2 * np.pi * 2.1 * t), 0.05, None) ** 1.5
    base = np.stack([envelope * (0.1 * tone + 0.1 * rng.standard_normal(t.size)) for _ in range(2)])
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for chunk in range(max(1, round(minutes * 60 / CHUNK_S))):
            level = 10 ** (-(0.5 + 0.5 * np.sin(chunk / 7)))
            file.write(np.clip(level * base.T, -1, 1))


def run(args: list[str]) -> tuple[float, float, float]:
    """A stylefx command on one core: wall seconds, CPU seconds, peak MiB."""
    started, core = time.perf_counter(), min(os.sched_getaffinity(0))
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {core})
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "stylefx.cli", *args], {**os.environ, **threads})
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"stylefx {' '.join(args)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def settings_file(path: Path) -> None:
    from stylefx.effects.presets import deepafx_st_chain
    from stylefx.inference.settings_file import StyleSettings

    chain = deepafx_st_chain()
    controls = np.random.default_rng(1).uniform(0.3, 0.7, chain.num_controls)
    StyleSettings.of(chain, chain.settings(controls), sample_rate=float(RATE), output_gain_db=-12.0).save(path)


def fresh_model(path: Path) -> Path:
    from stylefx.effects.presets import deepafx_st_chain
    from stylefx.models.checkpoint import save_model
    from stylefx.models.style_transfer import build_model

    return save_model(
        build_model({"encoder": {"name": "tiny"}, "chain": deepafx_st_chain().to_dict(), "sample_rate": 24000.0}), path
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--model")
    parser.add_argument("--format", nargs="+", default=["wav"], choices=["wav", "flac"])
    parser.add_argument("--folder", help="where the recording and the outputs are made (2.5 GB for an hour)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        reference = folder / "reference.wav"
        make_recording(reference, 0.5, seed=2)
        settings_file(folder / "style.json")
        model = args.model or str(fresh_model(folder / "model"))
        print(f"{args.minutes:g} min of {RATE} Hz stereo, one core")
        print(f"{'':<34}{'wall s':>9}{'CPU s':>9}{'CPU / audio':>13}{'peak MiB':>10}")
        for extension in args.format:
            source = folder / f"hour.{extension}"
            make_recording(source, args.minutes, seed=1)
            out = folder / f"out.{extension}"
            render = ["render", str(source), "--settings", str(folder / "style.json"), "-o", str(out), "--overwrite"]
            transfer = ["transfer", str(source), str(reference), "-o", str(out), "--model", model, "--overwrite"]
            run([*render[:1], str(reference), *render[2:]])  # kernels are compiled and cached once per machine
            cases = {
                "render": render,
                "render, gain after two passes": [*render, "--loudness", "-20"],
                "transfer": transfer,
                "transfer --refine 20": [*transfer, "--refine", "20"],
            }
            for title, command in cases.items():
                wall, cpu, peak = run(command)
                line = f"{wall:>9.1f}{cpu:>9.1f}{cpu / (60 * args.minutes):>13.5f}{peak:>10.0f}"
                print(f"{extension + ' ' + title:<34}{line}", flush=True)
            source.unlink()
            out.unlink()


if __name__ == "__main__":
    main()
