"""How fast one worker scans a folder of recordings, all that the catalog holds included.

    python -m benchmarks.scan_speed FOLDER --rounds 3

Kernels are compiled before. CPU seconds are of the process, so that other work on the machine does not count; wall seconds are
given beside them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from pipelines.catalog.scan import scan
from pipelines.manifest.model import Manifest


def measured(folder: Path, work: Path) -> tuple[int, float, float, float]:
    """(recordings, hours, CPU seconds, wall seconds) of one scan."""
    source = {"name": "s", "path": str(folder), "group": {"parent": 1}}
    manifest = Manifest.model_validate({"name": "scan", "output": str(work / "out"), "sources": [source]})
    cpu, wall = time.process_time(), time.perf_counter()
    summary = scan(manifest, work / "catalog.parquet", workers=0)
    return summary.recordings, summary.hours, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "first").mkdir()
        for rate, channels in ((22050, 1), (44100, 2), (48000, 2)):
            soundfile.write(work / "first" / f"{rate}.wav", np.random.default_rng(1).normal(0, 0.1, (5 * rate, channels)), rate)
        measured(work / "first", work)
        for _ in range(options.rounds):
            count, hours, cpu_s, wall_s = measured(options.folder, work)
            rates = f"{count / cpu_s:.1f} files and {hours / cpu_s:.4f} h of audio a CPU second"
            print(f"{count} recordings, {hours:.2f} h: {cpu_s:.1f} CPU s, {wall_s:.1f} s; {rates}", flush=True)


if __name__ == "__main__":
    main()
