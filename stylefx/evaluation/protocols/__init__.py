"""The protocols, by name; each module has ``run(job) -> Report`` and is imported when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from stylefx.evaluation.job import Job
from stylefx.evaluation.report import Report

PROTOCOLS = {
    "p1": ("transfer", "paired synthetic transfer: how much of the distance to the target is left"),
}


def protocol(name: str) -> Callable[[Job], Report]:
    """The function that runs the protocol ``name`` ("p1".."p8")."""
    return importlib.import_module(f"stylefx.evaluation.protocols.{PROTOCOLS[name][0]}").run
