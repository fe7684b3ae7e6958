"""Everything that wants a CUDA GPU in one command: tests, exactness, speed beside the peers, training, profile.

    python -m benchmarks.gpu [--out DIR] [--budget 480] [--sections kernels,chain] [--device cuda]

Sections run in the order of their worth, each on its own: one that fails is written down and the next one runs, and one
that no longer fits into the budget of seconds is left out and named. Times are medians of at least 5 turns in which
every contender runs once, host and device idle before and after, compilation and tuning outside. Writes gpu.json,
gpu.md and gpu.log after every section. Peers that are not installed are named. ``--device cpu --tiny`` runs the
same code on small sizes, to see that it runs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import torch

from benchmarks.gpu import correctness, runs, speed, steps
from benchmarks.gpu.journal import Journal, versions
from stylefx.errors import UserError

SAMPLES = 131072
SECTIONS = "tests,kernels,palette,chain,loss,steps,profile,fed,nccl,compiled,large"


class Sizes:
    """How much of everything."""

    def __init__(self, tiny: bool, batches: list[int], rounds: int, tests: str, effects: str, chosen: list[str]):
        self.tests, self.effects, self.chosen = tests, effects, chosen
        self.samples, self.rounds = (17000, 1) if tiny else (SAMPLES, rounds)
        self.batches = [2] if tiny else batches
        self.exact_items, self.draws, self.exact_samples = (2, 3, 400) if tiny else (4, 64, 4096)
        self.fed_steps = 6 if tiny else 120
        self.encoder = {"name": "tiny", "width": 8, "num_bands": 40, "embedding_size": 32} if tiny else {"name": "base"}


def sections(device: torch.device, size: Sizes) -> dict[str, tuple[float, Callable[[Journal], None]]]:
    """Name -> (seconds it needs at least, what it does)."""
    batches, samples, rounds = size.batches, size.samples, size.rounds

    exact: dict[str, Callable[[Journal], None]] = {
        "kernels": lambda j: correctness.kernels(j, device, size.exact_items, samples),
        "palette": lambda j: correctness.palette(j, device, size.draws, size.exact_samples, size.effects),
    }

    def tests(journal: Journal) -> None:
        """Beside what the host computes; nothing here is timed."""
        testing = correctness.start_tests(journal, size.tests)
        try:
            for name, run in exact.items():
                if name in size.chosen:
                    journal.section(name, 0, run)
        finally:
            correctness.finish_tests(journal, testing, min(180.0, 0.4 * journal.left()))

    def alone(name: str) -> Callable[[Journal], None]:
        return lambda journal: None if "tests" in size.chosen else exact[name](journal)  # else beside the tests

    return {
        "tests": (20, tests),
        "kernels": (15, alone("kernels")),
        "palette": (15, alone("palette")),
        "chain": (10, lambda j: speed.chains(j, device, batches, samples, rounds)),
        "loss": (10, lambda j: speed.losses(j, device, batches, samples, rounds)),
        "steps": (10, lambda j: steps.steps(j, device, batches, samples, rounds)),
        "profile": (8, lambda j: steps.profile(j, device, batches[0], samples)),
        "fed": (15, lambda j: runs.fed(j, device, batches[:2], samples, size.fed_steps, size.encoder)),
        "nccl": (8, lambda j: runs.nccl(j, device, batches[0], samples)),
        "compiled": (30, lambda j: steps.compiled(j, device, batches[:2], samples, rounds)),
        "large": (8, lambda j: steps.profile(j, device, batches[-1], samples)),
    }


def usable(device: torch.device) -> bool:
    """Whether the device still answers: an illegal access in one kernel ends all later work of its process."""
    try:
        torch.ones(1, device=device).item()
    except RuntimeError:
        return False
    return True


@click.command(help=__doc__.splitlines()[0])
@click.option("--out", type=click.Path(path_type=Path), default=Path("gpu-results"), help="Folder of gpu.json, gpu.md, gpu.log.")
@click.option("--budget", default=480.0, help="Seconds: what no longer fits is left out.")
@click.option("--sections", "chosen", default="", help="Names, separated by commas (all).")
@click.option("--tests", default="", help="Only those of the GPU tests, as pytest's -k.")
@click.option("--effects", default="", help="Only these in the section palette, separated by commas.")
@click.option("--batches", default="16,64,256", help="Separated by commas.")
@click.option("--rounds", default=7)
@click.option("--device", "name", default="cuda")
@click.option("--continued", is_flag=True, hidden=True, help="Add to what is in --out.")
@click.option("--tiny", is_flag=True, help="Small sizes, to see that everything runs.")
def main(
    out: Path, budget: float, chosen: str, tests: str, effects: str, batches: str, rounds: int, name: str, continued: bool,
    tiny: bool,
) -> None:  # fmt: skip
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("this benchmark needs a CUDA GPU and torch sees none; run it on a machine that has one")
    device = torch.device(name)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # as the trainer does
    journal = Journal(out, versions(device), budget, continued)
    wanted = (chosen or SECTIONS).split(",")
    every = sections(device, Sizes(tiny, [int(b) for b in batches.split(",")], rounds, tests, effects, wanted))
    unknown = [n for n in wanted if n not in every]
    if unknown:
        raise UserError(f"there is no section {unknown[0]!r}; known are {', '.join(every)}")
    for number, title in enumerate(wanted):
        journal.section(title, *every[title])
        if not usable(device) and wanted[number + 1 :]:
            journal.say("the device answers no more in this process; a new one goes on")
            rest = ["--sections", ",".join(wanted[number + 1 :]), "--budget", str(journal.left()), "--continued"]
            given = ["--out", str(out), "--batches", batches, "--rounds", str(rounds), "--device", name]
            given += ["--tests", tests, "--effects", effects]
            raise SystemExit(subprocess.run([sys.executable, "-m", "benchmarks.gpu", *given, *rest]).returncode)
    journal.say(f"written: {out / 'gpu.json'}, gpu.md, gpu.log")
    print("\n" + journal.markdown())


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except UserError as error:
        raise SystemExit(str(error)) from None
