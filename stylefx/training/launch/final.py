"""Errors that cannot go away by trying again: a launcher that restarts its workers ends at once, with the sentence last.

The first worker that meets one writes it into the run folder under the launch's own name. Restarted workers find it there
before they load anything, and end the same way; workers of other nodes find out why they lost a rank.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stylefx.errors import IncompleteError, StylefxError
from stylefx.files.atomic import write_whole

FILE = "ended.json"
_PATIENCE_S = 2.0  # that another rank's reason may take to arrive


class EndedForGood(StylefxError):
    """What ended an earlier attempt of the same launch, or another rank of this one."""

    def __init__(self, text: str, exit_status: int):
        super().__init__(text)
        self.exit_status = exit_status


def torchrun_launch() -> str | None:
    """The name of torchrun's launch; None where nothing would be restarted."""
    return os.environ.get("TORCHELASTIC_RUN_ID") if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0 else None


def is_restart() -> bool:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def recorded(run: Path, launch: str | None) -> EndedForGood | None:
    """What ended this launch for good, if that is known."""
    try:
        found = json.loads((run / FILE).read_text())
        return EndedForGood(str(found["error"]), int(found["status"])) if found["launch"] == launch else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(run: Path) -> None:
    """Before a first attempt: what ended an earlier launch is of no interest."""
    with contextlib.suppress(OSError):
        (run / FILE).unlink(missing_ok=True)


@contextmanager
def ends_for_good(run: Path, launch: str | None) -> Iterator[None]:
    """Errors of the block that trying again cannot mend are written down for the ``launch``."""
    try:
        yield
    except IncompleteError as error:
        until = time.monotonic() + _PATIENCE_S
        while launch is not None and "lost another rank" in str(error) and time.monotonic() < until:
            if (known := recorded(run, launch)) is not None:
                known.said_by_another = True
                raise known from None
            time.sleep(0.05)
        raise
    except StylefxError as error:
        if launch is not None and not error.said_by_another:
            with contextlib.suppress(OSError):
                run.mkdir(parents=True, exist_ok=True)
                verdict = {"launch": launch, "error": str(error), "status": error.exit_status}
                write_whole(run / FILE, json.dumps(verdict).encode())
        raise


@contextmanager
def under_torchrun(run: Path) -> Iterator[None]:
    """``ends_for_good`` in one of torchrun's processes; its report, which comes last, gets the sentence of any error of ours."""
    launch = torchrun_launch()
    if is_restart() and (known := recorded(run, launch)) is not None:
        known.said_by_another = True  # the report says it once more
        _tell_torchrun(known)
        raise known
    if not is_restart():
        forget(run)
    try:
        with ends_for_good(run, launch):
            yield
    except StylefxError as error:
        _tell_torchrun(error)
        raise


def _tell_torchrun(error: StylefxError) -> None:
    """The file from which torchrun's report takes what it says of a failed process."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file and not Path(file).exists():
        with contextlib.suppress(OSError):
            message = {"message": f"error: {error}", "extraInfo": {"timestamp": str(int(time.time()))}}
            Path(file).write_text(json.dumps({"message": message}))
