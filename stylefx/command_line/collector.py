"""Garbage collection in a command: what imports bring stays to the end, so that looking through it finds nothing.

A transfer's imports make 400000 objects, a build's 250000. Collections while they come and at the end of the process cost more
than half a second of a transfer, and workers that are forked would look through them too.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_COUNTING = ("triton",)  # packages that complain at the end of objects that were not collected
_process_is_ours = False


def take_process(ours: bool = True) -> None:
    """Whether the process is a command's from now on, and what its imports bring is never looked at again."""
    global _process_is_ours
    _process_is_ours = ours


def leave_process() -> None:
    """Before the process ends: memory goes back with it, not object by object."""
    if not _process_is_ours:
        return
    if any(name in sys.modules for name in _COUNTING):
        gc.unfreeze()
    else:
        gc.freeze()


@contextmanager
def importing() -> Iterator[None]:
    """No collections while modules are imported or a model is built; in a caller's process they look at it later."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _process_is_ours:
            gc.freeze()
        if was_enabled:
            gc.enable()
