"""Build corpora on a simulated cluster, on a virtual clock: the store fails, loses replies and gives stale listings, nodes join
and leave, workers die, hang and crawl, drivers are killed and started again, or two work on one output.

    python -m benchmarks.simulated_cluster --seeds 10000
    python -m benchmarks.simulated_cluster --seed 17               # one of them again, with what was said

Driver, leases, journal, shards, index and storage are those of the product; see ``benchmarks.simulation``. After the
disturbances a build that nobody disturbs has to leave what one in fair weather leaves; no index may stand before all shards do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.simulation.clock import Hung
from benchmarks.simulation.play import Broken
from benchmarks.simulation.theatre import Theatre, in_memory, theatre
from stylefx.files.processes.cores import cores

_stage: Theatre | None = None


def _open(folder: str) -> None:
    """In a process that plays."""
    global _stage
    _stage = Theatre(Path(folder) / str(os.getpid()))


def _play(seed: int) -> tuple[int, str, dict[str, int]]:
    """(seed, what it broke, what there was of it)."""
    assert _stage is not None
    try:
        play = _stage.play(seed)
    except (Broken, Hung) as finding:
        return seed, str(finding), {}
    virtual_s = round(play.now_s)
    return seed, "", {"requests": play.store.requests, "virtual_s": virtual_s, "drivers": play.drivers}


def play_all(seeds: range, until_s: float, processes: int) -> tuple[int, int, Counter[str]]:
    """(how many were played, how many broke a promise, requests and virtual seconds)."""
    sums: Counter[str] = Counter()
    played = broken = 0
    with in_memory() as folder, multiprocessing.get_context("fork").Pool(processes, _open, (folder,)) as pool:
        for seed, finding, numbers in pool.imap_unordered(_play, seeds, chunksize=5):
            played += 1
            sums.update(numbers)
            if finding:
                broken += 1
                print(f"seed {seed}: {finding}", flush=True)
            if time.monotonic() > until_s:
                break
    return played, broken, sums


def tell(seed: int) -> int:
    """One seed, with all that its drivers said."""
    with theatre() as stage:
        try:
            play = stage.play(seed)
        except (Broken, Hung) as finding:
            print("\n".join(stage.said))
            print(f"seed {seed}: {finding}")
            return 1
    print(play.scenario)
    print("\n".join(play.said))
    trace = play.store.trace.hexdigest()[:16]
    print(f"seed {seed}: {play.store.requests} requests, {play.now_s:.0f} virtual seconds, trace {trace}")
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seeds", type=int, help="play this many")
    what.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--first", type=int, default=0, help="the first of --seeds")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after that time")
    parser.add_argument("--processes", type=int, default=cores())
    options = parser.parse_args()
    if options.seed is not None:
        sys.exit(tell(options.seed))
    started = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    played, broken, sums = play_all(seeds, started + 60 * options.minutes, options.processes)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = f"{time.monotonic() - started:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of a core"
    print(
        f"{played} seeds in {took}: {sums['drivers']} drivers, {sums['requests']} requests, "
        f"{sums['virtual_s'] / 3600:.0f} virtual hours; {broken} broke a promise"
    )
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
