"""Loops that no process compiled on this machine yet, compiled by several processes at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress

from pipelines.manifest.model import Manifest
from pipelines.render.kernels import FIRST, load_part, parts_of
from stylefx.errors import IncompleteError
from stylefx.files.processes.cores import cores
from stylefx.files.processes.pool import in_processes


def compile_on_all_cores(manifest: Manifest, say: Callable[[str], None] | None = None) -> None:
    """Leave what ``load_kernels`` will look for in numba's cache, unless it lies there; ``say`` is told where that takes long."""
    from stylefx.audio.weighting import weighted_energies
    from stylefx.effects.kernels.jit import compilations

    parts, before = parts_of(manifest), compilations(weighted_energies)
    parts.pop(FIRST)()
    if compilations(weighted_energies) == before:  # as the first part was kept, the others will be
        return
    if say is not None:
        say("compiling the sample loops, once on this machine")
    with suppress(IncompleteError):  # a process died: whoever loads a part compiles what is still missing
        text = manifest.model_dump_json()
        in_processes(load_part, [(text, part) for part in parts], min(cores(), len(parts)), start=_end_at_once)


def _end_at_once() -> None:
    """An exception at SIGTERM would be lost inside of LLVM; there is nothing to clean up."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
