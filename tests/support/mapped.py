"""A function for overlays."""

from __future__ import annotations

import numpy as np

CALLED: list[str] = []


def measures(sample) -> dict:
    CALLED.append(sample.key)
    half = sample.audio("a.target")
    words = {"group": sample.group, "rate": sample.sample_rate}
    return {"embedding": half[:, :8].astype(np.float32), "words": words, "note": "ja", "raw.dat": b"\0\1"}


def failing(sample) -> dict:
    raise ZeroDivisionError("by nothing")
