"""The batches of ``TrainingLoader``, the same ones, made by processes: one that trains shares its interpreter with no reader."""

from __future__ import annotations

import os
import pickle
from collections.abc import Generator
from typing import Any

import numpy as np

from stylefx.corpus.batch import Batch
from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.corpus.processes.job import Job
from stylefx.corpus.processes.parent import ReadingProcess, end_all
from stylefx.errors import UserError


class ProcessLoader(TrainingLoader):
    """``workers`` threads in all, one at least in each of ``processes``; each of those reads ``ahead`` micro-batches ahead.

    Process p makes the micro-batches p, p + processes, ... of the rank. Their audio comes through shared memory, and is copied
    out of it here. ``tolerance`` decides here what the processes find damaged. Raises what ``TrainingLoader`` raises, and
    IncompleteError where a process is gone.
    """

    def __init__(self, data: TrainingSet, *, processes: int, **options: Any):
        super().__init__(data, **options)
        batches = max(0, self.stop_step - self.start_step) * self.accumulation
        self.processes = min(processes, batches)
        if os.name != "posix":
            raise UserError(f"data.reader_processes is {processes}, which this system has no way for; set it to 0")

    def _jobs(self) -> list[Job]:
        sequence = {
            "micro": self.micro,
            "accumulation": self.accumulation,
            "rank": self.rank,
            "world": self.world,
            "start_step": self.start_step,
            "stop_step": self.stop_step,
        }
        each, rest = divmod(self.workers, max(1, self.processes))
        return [
            Job(sequence, p, self.processes, max(1, each + (p < rest)), self.ahead, self.tolerance.max_share > 0)
            for p in range(self.processes)
        ]

    def __iter__(self) -> Generator[Batch, None, None]:
        try:
            data = pickle.dumps(self.data)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise UserError(
                f"data.reader_processes is {self.processes}, and this training set cannot be sent to a process ({error}); "
                "set it to 0"
            ) from error
        running: list[ReadingProcess] = []
        try:
            jobs = self._jobs()
            for job in jobs:  # all of them start while the first is told; where one does not, the others are ended
                running.append(ReadingProcess(self.data, job, f"reading process {job.first + 1} of {job.every}"))  # noqa: PERF401
            for process, job in zip(running, jobs, strict=True):
                process.tell(data, job)
            for number, _ in enumerate(self.positions()):
                yield self._taken(running[number % len(running)])
        finally:
            end_all(running)

    def _taken(self, process: ReadingProcess) -> Batch:
        made, slot = process.take()
        for name, error in made.damage:
            self.tolerance.pass_over(name, error)
        if made.error is not None:
            raise made.error
        assert made.facts is not None
        arrays = {name: self.allocate(self.shape) for name in slot}
        for name, array in arrays.items():
            np.copyto(array, slot[name])
        process.release()
        return made.facts.with_audio(arrays)
