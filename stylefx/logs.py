"""What a command says is also logged, so that a cluster's log collector sees what a terminal sees.

Nothing appears unless the program around it sets logging up: the logger ``stylefx`` has a NullHandler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger("stylefx")
logger.addHandler(logging.NullHandler())


def logged(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say`` that logs each line too."""

    def both(text: str) -> None:
        logger.info("%s", text)
        say(text)

    return both
