"""Nodes that join a build on Ray, and a scan on one node and on two.

    python -m benchmarks.late_nodes join --nodes 1,2,4          # pairs per second once they are there, over all from the start
    python -m benchmarks.late_nodes scan FOLDER --nodes 1,2     # of the same recordings

A cluster of its own on this machine, of nodes with one CPU each. ``join`` begins with one node (with none where one is to join),
the others come when a tenth of the shards is done. A shard waits ``--wait`` seconds beside its work: what is asked is whether Ray
and the driver use the nodes, not how many cores this machine has. With ``--wait 0`` it is the machine that is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.builder.progress import BuildProgress
from pipelines.shards.make import run_task
from pipelines.workers.ray import RayExecutor
from tests.support.builds import manifest_for, run_build, write_sources

_NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
_SHARDS = 240  # about, of one sample each


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """A head without CPUs, and so many nodes."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**_NODE, "num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            made.add_node(**_NODE)
        if nodes:
            made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


def unhurried(task: Any, wait_s: float) -> Any:
    time.sleep(wait_s)
    return run_task(task)


def committed(out: Path) -> int:
    return sum(1 for _ in out.glob("*/*.json"))


def built(sources: Path, out: Path, first: int, then: int, wait_s: float) -> tuple[float, float]:
    """(shards per second, seconds) from the moment on at which all ``then`` nodes are there; the start of a cluster and of the
    build counts where they are there from the start."""
    manifest = manifest_for(sources, out, shard={"samples": 1})
    with cluster(first) as made, ThreadPoolExecutor(1) as beside:
        work = partial(unhurried, wait_s=wait_s)
        options = {"executor": "ray", "workers": None, "address": made.address, "work": work}
        with open(os.devnull, "w") as nowhere:
            began, before = time.perf_counter(), 0
            job = beside.submit(run_build, manifest, BuildProgress("lines", nowhere), **options)
            if then > first:
                while first and committed(out) < 0.1 * _SHARDS and not job.done():
                    time.sleep(0.02)
                time.sleep(0 if first else 5)
                began, before = time.perf_counter(), committed(out)
                for _ in range(then - first):
                    made.add_node(**_NODE)
            summary = job.result()
    seconds = time.perf_counter() - began
    return (summary.tally.samples - before) / seconds, seconds


def join(nodes: list[int], wait_s: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        sources = write_sources(Path(name) / "voices", speakers=6, seconds=_SHARDS / 6 * 1.4)
        for count in nodes:
            whole, all_s = built(sources, Path(name) / f"whole-{count}", count, count, wait_s)
            late, late_s = built(sources, Path(name) / f"late-{count}", 1 if count > 1 else 0, count, wait_s)
            print(
                f"{count} nodes: {whole:.2f} pairs/s over {all_s:.0f} s with all from the start, {late:.2f} over {late_s:.0f} s "
                f"once they joined; ratio {late / whole:.2f}",
                flush=True,
            )


def scans(folder: Path, nodes: list[int]) -> None:
    """The planning that follows is no part of it; the first scan of a cluster starts its workers, so it is made twice."""
    with tempfile.TemporaryDirectory() as name:
        first = b""
        for count in nodes:
            with cluster(count) as made:
                for turn in ("with the start of the workers", "again"):
                    out = Path(name) / f"{count}-{turn[:5]}"
                    manifest = manifest_for(folder, out, split={"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}})
                    started, ended = time.perf_counter(), [0.0]

                    def say(text: str, ended: list[float] = ended) -> None:
                        ended[0] = ended[0] or (time.perf_counter() if text == "planning" else 0.0)

                    options = PrepareOptions(cluster=lambda work, made=made: RayExecutor(work, None, made.address))
                    prepare(manifest, str(out), options, say)
                    catalog = (out / "catalog-0000.parquet").read_bytes()
                    first = first or catalog
                    print(f"{count} nodes, {turn}: {ended[0] - started:.1f} s, the same catalog: {catalog == first}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("join", "scan"))
    parser.add_argument("folder", type=Path, nargs="?", help="of the recordings to scan, a folder in it for each group")
    parser.add_argument("--nodes", default="1,2,4")
    parser.add_argument("--wait", type=float, default=0.5, help="seconds")
    options = parser.parse_args()
    nodes = [int(n) for n in options.nodes.split(",")]
    if options.what == "join":
        join(nodes, options.wait)
    elif options.folder is None:
        parser.error("scan needs a FOLDER of recordings")
    else:
        scans(options.folder, nodes)


if __name__ == "__main__":
    main()
