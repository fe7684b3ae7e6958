"""A task for worker processes that dies or hangs when told to; a module of its own, so that workers start fast."""

import os
import time

from stylefx.errors import IncompleteError


def misbehave(task: str) -> str:
    if task == "die":
        os._exit(11)
    if task == "hang":
        time.sleep(60)
    if task == "away":
        raise IncompleteError("the server is away")
    return task.upper()
