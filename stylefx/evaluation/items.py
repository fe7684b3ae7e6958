"""P9's items as files, so that programs outside can be given the same work."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from stylefx.audio.writing import write_audio
from stylefx.errors import UserError
from stylefx.evaluation.across import make_pair, plan_transfers
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.protocols.across import DEFAULT_ITEMS
from stylefx.files.atomic import publish_text

_SIDES = ("input", "reference", "target")


def write_items(job: EvaluationJob, folder: Path) -> int:
    """``NAME-input.wav``, ``-reference.wav`` and ``-target.wav`` (32-bit float) and ``items.csv``; returns their number."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be made: {error.strerror}; choose another with --items-to") from error
    plans = plan_transfers(job.samples(), job.items or DEFAULT_ITEMS, job.seed)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["item", "kind", "style", "content", "reference"])
    for planned in plans:
        pair = make_pair(job.corpus, planned, job.engine)
        for side in _SIDES:
            write_audio(folder / f"{planned.name}-{side}.wav", getattr(pair, side), pair.sample_rate, "float32")
        rows.writerow([planned.name, pair.label, planned.style, planned.content.key, planned.reference.key])
    publish_text(folder / "items.csv", table.getvalue())
    return len(plans)
