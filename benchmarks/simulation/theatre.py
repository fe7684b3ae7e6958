"""Where seeds are played: the plans, and what an undisturbed build of each leaves, are made once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.simulation.plans import make_plan
from benchmarks.simulation.play import Broken, Play
from benchmarks.simulation.product import on_virtual_time
from benchmarks.simulation.scenario import Scenario, draw_scenario


class Theatre:
    """Plays seeds; plans and the reference of each are made once."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.plans = [make_plan(folder, samples) for samples in (2, 5)]
        self._references: dict[int, dict[str, str]] = {}
        self.said: list[str] = []

    def _play(self, seed: int | str, scenario: Scenario, disturbed: bool) -> Play:
        disks = self._folder / "disks"
        with on_virtual_time(disks):
            play = Play(seed, scenario, self.plans[scenario.plan])
            self.said = play.said
            try:
                if disturbed:
                    play.disturbed()
                play.undisturbed()
                return play
            finally:
                play.close()
                shutil.rmtree(disks, ignore_errors=True)

    def reference(self, plan: int) -> dict[str, str]:
        if plan not in self._references:
            calm = replace(draw_scenario(0, len(self.plans)), plan=plan, poison=False)
            self._references[plan] = self._play("reference", calm, disturbed=False).left()
        return self._references[plan]

    def play(self, seed: int) -> Play:
        """Raises Broken, or Hung."""
        scenario = draw_scenario(seed, len(self.plans))
        expected = self.reference(scenario.plan)
        play = self._play(seed, scenario, disturbed=True)
        found = play.left()
        if found != expected:
            different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            raise Broken(f"not what an undisturbed build leaves: {', '.join(different[:6])}")
        return play


@contextmanager
def in_memory() -> Iterator[str]:
    """A temporary folder, on no disk where the system has such a place."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield folder


@contextmanager
def theatre() -> Iterator[Theatre]:
    with in_memory() as folder:
        yield Theatre(Path(folder))
