"""Peak memory of a worker over very many shards: does it grow?

    python -m benchmarks.memory_growth [--shards 1000]

One worker renders a corpus of tiny real shards; every sidecar records the worker's peak memory at its commit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import soundfile

from tests.support.builds import RATE, manifest_for, run_build, tone_bursts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "voices"
        for speaker in range(5):
            (sources / f"speaker-{speaker}").mkdir(parents=True)
            voice = tone_bursts(arguments.shards * 0.28, RATE, speaker)
            soundfile.write(sources / f"speaker-{speaker}" / "long.wav", voice, RATE)
        manifest = manifest_for(
            sources,
            Path(folder) / "corpus",
            segment={"half_frames": 2048, "sample_rate": 12000},
            shard={"samples": 4},
            split={"val": ["voices/speaker-1"], "test": ["voices/speaker-2"]},
        )
        run_build(manifest, executor="inline", workers=1)
        sidecars = [json.loads(p.read_text()) for p in Path(folder).glob("corpus/*/*-[0-9]*.json")]
        peaks = [s["peak_memory_mb"] for s in sorted(sidecars, key=lambda s: (s["finished_s"], s["peak_memory_mb"]))]
        tenth = max(len(peaks) // 10, 1)
        print(
            f"{len(peaks)} shards: peak memory of the worker {peaks[0]:.0f} MB after the first, {peaks[tenth]:.0f} MB after "
            f"{tenth}, {peaks[len(peaks) // 2]:.0f} MB half-way, {peaks[-1]:.0f} MB at the end"
        )


if __name__ == "__main__":
    main()
