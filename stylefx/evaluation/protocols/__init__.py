"""The protocols, by name; each module has ``run(job) -> Report`` and is imported when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.report import Report

PROTOCOLS = {
    "p1": ("transfer", "paired synthetic transfer: how much of the distance to the target is left"),
    "p2": ("recovery", "parameter recovery: are the predicted curves and times the true ones (best on a recovery corpus)"),
    "p3": ("styles", "the five styles, 5 x 5: from each style to each"),
    "p4": ("probes", "linear probes of the frozen embedding: which style is heard"),
    "p5": ("retrieval", "retrieval: same settings, other content"),
    "p6": ("rates", "one model at 16, 24, 44.1, 48 and 96 kHz"),
    "p7": ("invariances", "input gain, polarity, reference = input"),
    "p8": ("speed", "real-time factor and memory"),
    "p9": ("across", "transfer across content, judged as style and as balance"),
}


def protocol(name: str) -> Callable[[EvaluationJob], Report]:
    """The function that runs the protocol ``name`` ("p1".."p9")."""
    return importlib.import_module(f"stylefx.evaluation.protocols.{PROTOCOLS[name][0]}").run
