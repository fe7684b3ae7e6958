"""Processes that are started anew ("spawned") do not run their caller's script again.

Python's multiprocessing runs the calling script once more in each process that it spawns, so that what the script defines can
be found there; a script without ``if __name__ == "__main__":`` then starts its work again in every one of them. Ours need
nothing of it: what they call stands in installed packages.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stylefx.errors import IncompleteError, UserError

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def without_the_script() -> Iterator[None]:
    """Processes that are spawned in this block are not told of the script that runs here."""
    main = sys.modules.get("__main__")
    with _ONE_AT_A_TIME:
        kept: dict[str, Any] = {name: vars(main)[name] for name in ("__spec__", "__file__") if main and name in vars(main)}
        try:
            if main is not None:
                main.__spec__ = None
                vars(main).pop("__file__", None)
            yield
        finally:
            vars(main).update(kept) if main is not None else None


def refuse_while_starting(what: str) -> None:
    """UserError where a script without a guard, run again by a process that it spawned itself, comes to ``what``."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError(
            f"{what} was called while a process that this script started was running the script again; put what the script does "
            'under if __name__ == "__main__":'
        )


def did_not_start(how: str) -> IncompleteError:
    """Of workers that end before they are ready: it is no fault of what they were to do."""
    return IncompleteError(
        f"the worker processes end before they are ready ({how}); if a script calls this, put what it does under "
        'if __name__ == "__main__":, else see what they print, free some memory, and run again with fewer --workers'
    )
