"""CPU time and bytes of one pair, by format and by where its reference comes from.

    python -m benchmarks.pair_cost manifests/demo.yaml --pairs 24
    python -m benchmarks.pair_cost --peer --pairs 24

The manifest is planned once per variant into a temporary folder and the first pairs of the training split are rendered, the
variants in turn for every pair; with --peer the recordings and the work are those of ``corpus_throughput`` (everything applied
to every pair), and the audiomentations script makes a pair in every turn. CPU seconds of this process, so that other work on
the machine matters little. The manifest's splits need two groups of each label for `reference: other`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.corpus_throughput import manifest, write_sources
from benchmarks.peers import make_pair
from pipelines.catalog.scan import scan
from pipelines.manifest.load import load_manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.make import make_plan
from pipelines.plan.samples import read_shard
from pipelines.render.sample import render_sample

VARIANTS = {
    **{name: [f"audio_format={name}"] for name in ("flac16", "flac24", "pcm16", "pcm24", "float32")},
    "flac24, dry only": ["audio_format=flac24", "store=dry"],
    "flac24, reference: other": ["audio_format=flac24", "reference={from: other, match: any}"],
}
PEER = "peer: audiomentations, flac16"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", nargs="?")
    parser.add_argument("overrides", nargs="*", help="NAME=VALUE")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "catalog.parquet"
        planned = {}
        files: list[str] = []
        if options.peer:
            sources = Path(folder) / "sources"
            write_sources(sources)
            files = sorted(map(str, sources.rglob("*.flac")))
            written = manifest(sources, Path(folder) / "out", options.pairs + 1, "vocoder")
            options.manifest = str(Path(folder) / "manifest.yaml")
            Path(options.manifest).write_text(json.dumps(written))  # which is YAML
        for number, (name, changes) in enumerate(VARIANTS.items()):
            loaded = load_manifest(options.manifest, [*options.overrides, *changes])
            if not catalog.exists():
                scan(loaded, catalog, workers=0)
            plan = Path(folder) / f"plan-{number}.parquet"
            make_plan(loaded, catalog, plan)
            shards = [shard for shard in plan_overview(plan) if shard.split == "train"]
            samples = [sample for shard in shards for sample in read_shard(plan, shard.number)]
            planned[name] = loaded, samples[: options.pairs + 1]
        names = [*VARIANTS, *([PEER] if options.peer else [])]
        spent: dict[str, list[float]] = {name: [] for name in names}
        sizes: dict[str, list[int]] = {name: [] for name in names}
        for i in range(options.pairs + 1):
            for name in names:
                began = time.process_time()
                if name == PEER:
                    made = make_pair(("audiomentations", i, files))[0]
                else:
                    made = render_sample(planned[name][0], planned[name][1][i]).members
                spent[name].append(time.process_time() - began)
                sizes[name].append(sum(len(content) for key, content in made.items() if key != "__key__"))
    cost = {name: statistics.mean(values[1:]) for name, values in spent.items()}
    print("| variant | CPU ms a pair | pairs a CPU second | x the peer's | kB a pair |\n|---|---:|---:|---:|---:|")
    for name in names:
        faster = f"{cost[PEER] / cost[name]:.1f}" if options.peer else ""
        size = statistics.mean(sizes[name][1:]) / 1000
        print(f"| {name} | {1000 * cost[name]:.0f} | {1 / cost[name]:.1f} | {faster} | {size:.0f} |")


if __name__ == "__main__":
    main()
