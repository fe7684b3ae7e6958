"""Shard tasks in which one sample does to its worker what a bad file does to a decoder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from pipelines.shards import make as shard

CHOICE = "poison"  # a file beside the corpus: "KIND KEY"


def poisoned(task):
    """Like run_task, but the chosen sample crashes, hangs, or eats memory."""
    kind, key = Path(task.out).with_name(CHOICE).read_text().split()
    real = shard.render_sample

    def render(manifest, sample, **rest):
        if sample.key == key:
            if kind == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
                time.sleep(60)
            elif kind == "hang":
                time.sleep(3600)
            elif kind == "memory":
                return [np.ones(1 << 27) for _ in range(1 << 10)]  # a terabyte, in pieces
        return real(manifest, sample, **rest)

    shard.render_sample = render
    try:
        return shard.run_task(task)
    finally:
        shard.render_sample = real
