"""Write the page and its key: ``listening.html`` for the listener, ``listening-key.csv`` for whoever counts."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from stylefx import keyed
from stylefx.audio.writing import encode_audio
from stylefx.errors import UserError
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.listening.trials import Trial, key_rows, make_trials
from stylefx.files.atomic import publish_text

if TYPE_CHECKING:
    import numpy as np

PAGE, KEY = "listening.html", "listening-key.csv"
_FOLDER = Path(__file__).parent


def write_listening(job: EvaluationJob, folder: Path) -> list[Path]:
    """Make the trials and write both files; returns their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be made: {error.strerror}; choose another with --listening") from error
    trials = make_trials(job)
    session = keyed.hex_digest(job.seed, "listening session", *(t.name for t in trials), *job.setup.values(), size=6)
    publish_text(folder / PAGE, page_text(trials, session))
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerows([["session", "trial", "stimulus", "system"], *([session, *row] for row in key_rows(trials))])
    publish_text(folder / KEY, table.getvalue())
    return [folder / PAGE, folder / KEY]


def page_text(trials: Sequence[Trial], session: str) -> str:
    """The page, self-contained: no system's name is in it, and nothing is fetched."""
    data = {
        "session": session,
        "trials": [
            {
                "name": trial.name,
                "kind": trial.kind,
                "reference": _embedded(trial.reference, trial.sample_rate),
                "stimuli": [{"id": s.identity, "audio": _embedded(s.audio, trial.sample_rate)} for s in trial.stimuli],
            }
            for trial in trials
        ],
    }
    parts = {
        "TITLE": escape(f"Listening test {session}"),
        # "<" is written as JSON's escape, so that no name can end the element
        "DATA": json.dumps(data).replace("<", "\\u003c"),
        "SCRIPT": (_FOLDER / "page.js").read_text(encoding="utf-8"),
    }
    template = (_FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub("@@([A-Z]+)@@", lambda mark: parts[mark[1]], template)  # in one pass: no part is searched for marks


def _embedded(audio: np.ndarray, sample_rate: int) -> str:
    return "data:audio/flac;base64," + base64.b64encode(encode_audio(audio, sample_rate, "flac16")).decode()
