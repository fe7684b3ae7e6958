"""A profile of some steps, as a trace that Perfetto and chrome://tracing show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from stylefx.training.config import ProfileConfig
from stylefx.training.processes.distributed import Rank

FOLDER = "profile"


@contextmanager
def profiled(
    section: ProfileConfig | None, run: Path, place: Rank, say: Callable[[str], None]
) -> Iterator[Callable[[int], None]]:
    """Gives a function to be called with every step's number before it begins. Every rank writes a trace of its own."""
    if section is None:
        yield lambda step: None
        return
    first, last = section.steps
    profiler: torch.profiler.profile | None = None

    def finish() -> None:
        nonlocal profiler
        if profiler is None:
            return
        profiler.stop()
        path = run / FOLDER / f"steps-{first}-{last}-rank-{place.rank}.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(path))
        profiler = None
        if place.is_first:
            say(f"profile of the steps {first} to {last}: {path} (open it in ui.perfetto.dev)")

    def before(step: int) -> None:
        nonlocal profiler
        if step == last + 1:
            finish()
        elif profiler is None and first <= step <= last:
            activities = [torch.profiler.ProfilerActivity.CPU]
            if place.device.type == "cuda":
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            profiler = torch.profiler.profile(activities=activities, record_shapes=True)
            profiler.start()

    try:
        yield before
    finally:
        finish()
