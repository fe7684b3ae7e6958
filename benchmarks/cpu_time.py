"""CPU time of short calls, for kernels beside one another on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def least_ms(call: Callable[[], Any]) -> float:
    """The least of 15, after one that may compile."""
    spent = []
    for _ in range(16):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return 1e3 * min(spent[1:])
