"""Cut the power at every fsync of a build (or a transfer, or a training checkpoint), on a disk of our own making.

    python -m benchmarks.power_cuts build
    python -m benchmarks.power_cuts build --sample 12 --seed 1

One undisturbed run is traced, data included. Right before each of its fsyncs the disk is laid out as a power cut may leave it:
with nothing that was not synced, with all names but no unsynced bytes, with all bytes but no unsynced names, and with some of
both, drawn by the seed. The program runs again there, and what it leaves has to be identical to the undisturbed run's.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time

from benchmarks.inject_rounds import undisturbed
from benchmarks.injection.disk import LAYOUTS, Disk, lay_out
from benchmarks.injection.rounds import Finding, Rounds, TracedCall, read_trace
from benchmarks.injection.shim import NO_COMPILER, compiler


class PowerCuts:
    """Cuts in the trace of the undisturbed run of ``rounds``."""

    def __init__(self, rounds: Rounds):
        self.rounds = rounds
        self.calls: list[TracedCall] = list(read_trace(rounds.victim.folder / "trace"))
        self.boundaries = [i for i, call in enumerate(self.calls) if call.op == "fsync"]

    def cut(self, boundary: int, layout: str, seed: int) -> None:
        """Lay out the disk and run again; raises Finding."""
        victim = self.rounds.victim
        self.rounds.fresh()
        disk = Disk(victim.roots)
        for call in self.calls[: self.boundaries[boundary]]:
            disk.apply(call)
        for root in victim.roots:
            shutil.rmtree(root)
        victim.begin_after_power_cut(lambda: lay_out(disk.layout(layout, f"{seed} {boundary}")))
        self.rounds.check_next_run(
            f"power cut before fsync {boundary} ({self.calls[self.boundaries[boundary]].path}), {layout} kept"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=["build", "transfer", "checkpoint"])
    parser.add_argument("--sample", type=int, help="this many cuts, drawn with --seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if compiler() is None:
        print(NO_COMPILER)
        return
    started = time.monotonic()
    with undisturbed(options.program, "benchmarks.power_cuts") as rounds:
        cuts = PowerCuts(rounds)
        todo = [(boundary, layout) for boundary in range(len(cuts.boundaries)) for layout in LAYOUTS]
        if options.sample is not None and options.sample < len(todo):
            todo = random.Random(options.seed).sample(todo, options.sample)
        found = play(cuts, todo, options.seed)
    print(
        f"{options.program}: {len(cuts.boundaries)} fsyncs; the power was cut {len(todo)} times in "
        f"{(time.monotonic() - started) / 60:.1f} min, {len(found)} broke a promise"
    )
    sys.exit(1 if found else 0)


def play(cuts: PowerCuts, todo: list[tuple[int, str]], seed: int) -> list[str]:
    """What was found."""
    found = []
    for boundary, layout in todo:
        try:
            cuts.cut(boundary, layout, seed)
        except Finding as finding:
            print(f"FAULT: {finding}", flush=True)
            found.append(str(finding))
        except Exception:
            print(f"at fsync {boundary}, {layout}", flush=True)
            raise
    return found


if __name__ == "__main__":
    main()
