"""How loud transferred recordings come out: `python benchmarks/transfer_loudness.py INPUT REFERENCE [INPUT REFERENCE ...]`.

One row per pair and wish: loudness of input, reference and output, what the limiter took, and whether the wish was met.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stylefx.inference.api import StyleTransfer, TransferOptions
from stylefx.inference.rendering.loudness import MET_WITHIN_LU
from stylefx.inference.transfer import loudness_of

WISHES: tuple[str | float, ...] = ("reference", -14.0, -16.0, "as-is")


def rows(pairs: Sequence[tuple[str, str]]) -> list[dict]:
    tool, out = StyleTransfer(), []
    with tempfile.TemporaryDirectory() as folder:
        for source, reference in pairs:
            before = (loudness_of(source), loudness_of(reference))
            for wish in WISHES:
                output = Path(folder) / f"{len(out)}.wav"
                done = tool.transfer(source, [reference], output, TransferOptions(loudness=wish)).rendered
                out.append({"source": source, "reference": reference, "wish": wish, "before": before, "done": done})
                output.unlink()
    return out


def line(row: dict) -> str:
    done, (source, reference) = row["done"], row["before"]
    missed = done.loudness.missed_lu
    met = "-" if missed is None else "met" if abs(missed) <= MET_WITHIN_LU else f"missed by {missed:+.1f} LU"
    below = min(source, reference) - done.output.lufs
    names = f"{Path(row['source']).name[:24]:<25}{Path(row['reference']).name[:24]:<25}{row['wish']!s:<10}"
    levels = f"{source:>7.1f}{reference:>7.1f}{done.output.lufs:>7.1f}{done.output.true_peak_dbtp:>7.1f}{done.limiter_db:>7.1f}"
    return f"{names}{levels}{max(0.0, below):>7.1f}  {met}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="INPUT REFERENCE")
    paths = parser.parse_args().paths
    print(f"{'input':<25}{'reference':<25}{'wish':<10}{'in':>7}{'ref':>7}{'out':>7}{'dBTP':>7}{'taken':>7}{'below':>7}  wish")
    for row in rows(list(zip(paths[::2], paths[1::2], strict=True))):
        print(line(row))


if __name__ == "__main__":
    main()
