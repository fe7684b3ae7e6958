"""What takes too long for every run of the tests: run all of it, or some of it by name, and write the table into the docs.

python -m benchmarks.proof                        # everything: the suite holds a keyed sample of each
python -m benchmarks.proof kills fuzz --times 5   # some of it, less of it
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from stylefx.files.atomic import write_whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measurements" / "proof.md"
FUZZED = (
    "tests/pipelines/manifest/test_fuzz.py",
    "tests/pipelines/manifest/test_manifest.py",
    "tests/pipelines/corpus/test_tar.py",
)
EXAMPLES = 80 * 4 + 25 * 4 + 150 + 60 + 100  # of the fuzz tests in one run of the suite, about


@dataclass(frozen=True)
class Part:
    """One line of the table: ``command`` of the arguments after ``python``, ``found`` reads the figure off what it printed."""

    promise: str
    command: Callable[[int], list[str]]
    found: Callable[[str, int], str]


def _last_line(text: str, times: int) -> str:
    return text.strip().splitlines()[-1]


def _fuzzed(text: str, times: int) -> str:
    return f"about {EXAMPLES * times:,} inputs, every one an answer or a sentence"  # a failed test ends with another status


def _worst(text: str, times: int) -> str:
    errors = [float(cell) for cell in re.findall(r"\d\.\de[-+]\d\d", text)]
    return f"worst relative RMS error {max(errors):.1e} over {len(errors)} rows"


def _kills(executor: str) -> Callable[[int], list[str]]:
    return lambda times: ["-m", "benchmarks.kill_rounds", "--executor", executor, "--rounds", str(2 * times), "--seed", "1"]


def _sampled(program: str, victim: str, rounds: int) -> Callable[[int], list[str]]:
    return lambda times: ["-m", f"benchmarks.{program}", victim, "--sample", str(rounds * times), "--seed", "1"]


PARTS = {
    "kills": Part("a build killed at any moment resumes to the same bytes (child processes)", _kills("inline"), _last_line),
    "ray-kills": Part("the same on Ray", _kills("ray"), _last_line),
    "faults": Part(
        "whichever changing system call of a build fails or is its last, the next run ends identically",
        _sampled("inject_rounds", "build", 40),
        _last_line,
    ),
    "checkpoint-faults": Part(
        "the same for a training checkpoint",
        _sampled("inject_rounds", "checkpoint", 20),
        _last_line,
    ),
    "transfer-faults": Part(
        "the same for a transfer",
        _sampled("inject_rounds", "transfer", 4),
        _last_line,
    ),
    "power-cuts": Part(
        "after a power cut before any fsync of a build the next run ends identically",
        _sampled("power_cuts", "build", 12),
        _last_line,
    ),
    "fuzz": Part(
        "manifests, catalogs, plans, sidecars, tables and tars of any bytes end in an answer or a sentence",
        lambda times: ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "0", *FUZZED],
        _fuzzed,
    ),
    "effects": Part(
        "every effect equals its float64 reference",
        lambda times: ["-m", "benchmarks.exactness", "--draws", str(200 * times)],
        _worst,
    ),
    "gradients": Part(
        "every differentiable twin and its gradients equal the float64 reference",
        lambda times: ["-m", "benchmarks.exactness_torch", "--draws", str(20 * times)],
        _worst,
    ),
    "readers": Part(
        "foreign readers find the same samples, in an environment of their own",
        lambda times: ["-m", "benchmarks.foreign_readers"],
        _last_line,
    ),
}


def prove(name: str, part: Part, times: int) -> tuple[str, bool]:
    """A row of the table, and whether it holds."""
    environment = os.environ | {"STYLEFX_PROOF": str(times), "PYTHONPATH": str(ROOT)}
    command = part.command(times)
    print(f"{name}: python {' '.join(command)}", flush=True)
    start = time.monotonic()
    run = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    minutes = (time.monotonic() - start) / 60
    holds = run.returncode == 0
    if not holds:
        print(run.stdout[-3000:], run.stderr[-3000:], sep="\n", file=sys.stderr)
    result = part.found(run.stdout, times) if holds else f"FAILED with exit status {run.returncode}"
    print(f"  {minutes:.1f} min: {result}", flush=True)
    return f"| {part.promise} | {result} | {minutes:.1f} | `python -m benchmarks.proof {name} --times {times}` |", holds


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the long proofs and write their table into the docs.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--times", type=int, default=10, help="how much more than the suite (default: 10)")
    options = parser.parse_args()
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown or options.times < 1:
        parser.error(f"there is no part {unknown[0]!r}; known: {', '.join(PARTS)}" if unknown else "--times is at least 1")
    rows = {name: prove(name, PARTS[name], options.times) for name in options.parts or PARTS}
    head = "# Long proofs\n\nWhat `make proof` found; the suite runs a keyed sample of each.\n\n"
    machine = f"{date.today()}, {os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}."
    table = "| promise | result | minutes | command |\n|---|---|---|---|\n" + "\n".join(row for row, _ in rows.values())
    if set(rows) == set(PARTS):  # a table of some would hide that the others were not run
        write_whole(PAGE, f"{head}{machine}\n\n{table}\n".encode())
    print(table)
    sys.exit(0 if all(holds for _, holds in rows.values()) else 1)


if __name__ == "__main__":
    main()
