"""Let every system call that changes a file of a build (or a transfer, or a training checkpoint) fail once, or kill there.

    python -m benchmarks.inject_rounds build                     # every call: SIGKILL and EIO; each call site: the others
    python -m benchmarks.inject_rounds transfer --sample 40 --seed 1

All changing calls on output, cache and journal are counted over all processes of an undisturbed run; then the n-th fails. After
each: the right exit status, one sentence, no litter; the same command again, and what it leaves is identical to the undisturbed
run's. SIGKILL ends the whole program; "SIGKILL one" the process that calls; after "EIO on" every later call fails too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.injection.rounds import EVERYWHERE, FAULTS, Finding, Rounds, Victim
from benchmarks.injection.shim import NO_COMPILER, Shim, compiler, fast_folder, run_again_under_shim


def victim_named(name: str, folder: Path) -> Victim:
    if name == "build":
        from benchmarks.injection.build import BuildVictim

        return BuildVictim(folder)
    if name == "transfer":
        from benchmarks.injection.transfer import TransferVictim

        return TransferVictim(folder)
    from benchmarks.injection.checkpoint import CheckpointVictim

    return CheckpointVictim(folder)


@contextmanager
def undisturbed(program: str, module: str) -> Iterator[Rounds]:
    """Rounds of a program that ran once undisturbed, in a folder that goes at the end. ``module`` starts anew, under the shim."""
    run_again_under_shim(module)
    folder = Path(tempfile.mkdtemp(prefix="sfx-inject-", dir=fast_folder()))
    try:
        yield Rounds(victim_named(program, folder), Shim())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rounds_to_play(rounds: Rounds, sample: int | None, seed: int, faults: list[str]) -> list[tuple[int, str]]:
    """(call, fault): SIGKILL and EIO at every call, the others once for each call site; or a keyed sample of these."""
    sites = {point.site: point.number for point in reversed(rounds.points)}
    chosen = [(p.number, fault) for fault in EVERYWHERE if fault in faults for p in rounds.points]
    chosen += [(number, fault) for fault in faults if fault not in EVERYWHERE for number in sorted(sites.values())]
    if sample is None or sample >= len(chosen):
        return chosen
    return random.Random(seed).sample(chosen, sample)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=["build", "transfer", "checkpoint"])
    parser.add_argument("--sample", type=int, help="play this many rounds, drawn with --seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument(
        "--share", default="0/1", help="i/n: every n-th round from the i-th, so that several cores share the work"
    )
    parser.add_argument("--points", type=int, nargs="+", help="only these calls, with every one of --faults")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    if compiler() is None:
        print(NO_COMPILER)
        return
    started = time.monotonic()
    with undisturbed(options.program, "benchmarks.inject_rounds") as rounds:
        if options.points:
            todo = [(point, fault) for point in options.points for fault in options.faults]
        else:
            first, step = map(int, options.share.split("/"))
            todo = rounds_to_play(rounds, options.sample, options.seed, options.faults)[first::step]
        found = play(rounds, todo, options.verbose)
    minutes = (time.monotonic() - started) / 60
    sites = len({p.site for p in rounds.points})
    for finding in found:
        print(f"FAULT: {finding}")
    print(
        f"{options.program}: {len(rounds.points)} changing calls at {sites} call sites; {len(todo)} faults injected in "
        f"{minutes:.1f} min, {len(found)} broke a promise"
    )
    sys.exit(1 if found else 0)


def play(rounds: Rounds, todo: list[tuple[int, str]], verbose: bool = False) -> list[str]:
    """What was found."""
    found = []
    for number, (point, fault) in enumerate(todo):
        try:
            line = rounds.play(point, fault)
        except Finding as finding:
            line = f"FAULT {finding}"
            found.append(str(finding))
        if verbose or line.startswith("FAULT"):
            print(f"{number + 1}/{len(todo)}: {line}", flush=True)
    return found


if __name__ == "__main__":
    main()
