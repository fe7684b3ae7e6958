"""Build a corpus out of a folder of odd and broken files and account for every one of them.

    python -m benchmarks.account_for_files FOLDER [FOLDER ...]

Prints how many files were used, how many were left out by which reason, and what became of every planned sample. Exit status 1
when the sums do not agree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.manifest.model import Manifest
from pipelines.plan.file import plan_meta
from pipelines.sources.listing import list_recordings
from tests.support.builds import run_build


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--half-frames", type=int, default=32768)
    arguments = parser.parse_args()
    sources = [
        {
            "name": folder.name,
            "path": str(folder.resolve()),
            "group": {"parent": 1, "otherwise": "all"},
            "licence": "as the files",
        }
        for folder in arguments.folders
    ]
    with tempfile.TemporaryDirectory() as out:
        manifest = Manifest.model_validate(
            {
                "name": "odd-files",
                "output": f"{out}/corpus",
                "sources": sources,
                "segment": {"half_frames": arguments.half_frames},
                "split": {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}},
                "limits": {"max_failed_share": 1.0},
            }
        )
        files = sum(1 for _ in list_recordings(manifest.sources, manifest.limits))
        summary = run_build(manifest, workers=2)
        catalog = pq.read_table(f"{out}/corpus/catalog-0000.parquet", columns=["error"])
        plan = plan_meta(f"{out}/corpus/plan-0000.parquet")["summary"]
        rejected = {reason: n for reason, n in plan["rejected"].items() if reason != "not needed"}
        used = sum(source["recordings"] for source in plan["sources"].values())
        errors = Counter(e for e in catalog["error"].to_pylist() if e)
        print(f"files found         {files}\nrows of the catalog {catalog.num_rows}\nused                {used}")
        for reason, count in sorted(rejected.items(), key=lambda r: -r[1]):
            print(f"left out            {count}  {reason}")
        for error, count in errors.most_common(20):
            print(f"  unreadable        {count}  {error[:150]}")
        print(f"planned samples     {summary.tally.samples}: {dict(summary.tally.counts)}; finished: {summary.finished}")
        for reason, count in summary.filtered.most_common():
            print(f"  filtered          {count}  {reason}")
        for key, status, reason in summary.bad:
            print(f"  {status}  {key}: {reason}")
        agree = files == catalog.num_rows and sum(summary.tally.counts.values()) == summary.tally.samples and summary.finished
        print("every file and every sample is accounted for" if agree else "THE SUMS DO NOT AGREE")
        return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
