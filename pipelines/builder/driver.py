"""The loop of a build: start shards, hear what became of them, carry out what ``verdict`` says of deaths, errors and limits."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, cast

from pipelines.builder.job import BuildJob
from pipelines.builder.lease import Lease
from pipelines.builder.resume import SidecarReader
from pipelines.builder.stop import Stopper
from pipelines.builder.verdict import Judge, how_it_died, shard_limit_s, too_many_failed, too_many_filtered
from pipelines.plan.file import ShardInfo
from pipelines.shards import journal
from pipelines.shards.task import ShardTask
from pipelines.sources.listing import source_root
from pipelines.workers.executor import Executor, TaskOutcome, stop_error
from stylefx.errors import IncompleteError, UserError

_TICK_S = 0.5


_KEPT_REASONS = 20


class Driver:
    """Works off a job. ``run`` returns when every shard of the share is committed, or raises what stopped it."""

    def __init__(self, job: BuildJob, lease: Lease, reader: SidecarReader, stopper: Stopper):
        self._job, self._lease, self._reader, self._stopper = job, lease, reader, stopper
        self._queue: deque[ShardInfo] = deque()
        self._running: dict[ShardTask, float] = {}
        self._attempts: Counter[str] = Counter()
        self._judge = Judge()
        self._error: Exception | None = None
        self._manifest = json.dumps(job.manifest.to_dict())
        self._roots = tuple((source.name, source_root(source)) for source in job.manifest.sources)
        self._shards = {shard.name: shard for shard in job.shards}

    def add(self, shards: Iterable[ShardInfo]) -> None:
        self._queue.extend(shards)

    # -- the loop

    def run(self, executor: Executor | None) -> Executor | None:
        """Returns the executor, which may have been opened here: when a damaged shard turned up late."""
        while True:
            self._read_sidecars(wait=not self._queue and not self._running)
            stopping = self._stopper.asked or self._error is not None
            if stopping:
                self._queue.clear()
                if executor is not None:
                    executor.withdraw()
            if self._queue and executor is None:
                executor = self._job.options.open()
                self._stopper.install()
            if executor is not None:
                self._start(executor)
                for outcome in executor.wait(_TICK_S) if self._running else ():
                    self._handle(outcome)
                self._enforce_limits(executor)
                for line in executor.news():
                    self._job.progress.say(line)
            self._job.progress.update(self._job.summary.tally)
            self._lease.check()
            if not self._running and not self._queue and (self._reader.finished or stopping):
                break
        self._check_end()
        return executor

    def _check_end(self) -> None:
        """Raise what stopped the build, or what is too much now that all is known."""
        if self._error is not None:
            raise self._error
        self._stopper.check()
        self._judge.check_given_up()
        tally, limits = self._job.summary.tally, self._job.manifest.limits
        error = self._too_many_failed() or too_many_filtered(tally.counts, tally.samples, limits)
        if error is not None:
            raise error

    def _start(self, executor: Executor) -> None:
        while self._queue and len(self._running) < executor.workers:
            task = self._task(self._queue.popleft())
            self._running[task] = time.monotonic()
            executor.submit(task)

    def _task(self, shard: ShardInfo) -> ShardTask:
        job = self._job
        attempt = self._attempts[shard.name]
        self._attempts[shard.name] += 1
        return ShardTask(
            out=job.storage.where,
            manifest=self._manifest,
            number=shard.number,
            name=shard.name,
            generation=job.generation,
            shard_digest=shard.digest,
            plan_digest=job.plan_digest,
            manifest_digest=job.manifest.recipe_digest(),
            builder=self._lease.builder,
            roots=self._roots,
            attempt=attempt,
            skip=tuple(sorted(journal.quarantined(job.storage, shard.name).items())),
            sample_limit_s=job.options.sample_limit_s,
            memory_limit_mb=job.options.memory_limit_mb,
        )

    def _read_sidecars(self, wait: bool) -> None:
        try:
            found = self._reader.poll(_TICK_S if wait else 0.0)
        except UserError as error:
            self._error = self._error or error
            return
        for shard in found.committed:
            self._job.done[shard.name] = shard
            self._job.summary.environments[shard.environment_digest] += 1
            self._job.summary.tally.add(shard, rendered=False)
        for info, reason in found.damaged:
            self._job.summary.repaired.append((info.name, reason))
            self._job.progress.say(f"{reason}; {info.name} is rendered again")
            self._queue.append(info)
        if found.committed:
            self._stop_for(self._too_many_failed())

    # -- what became of a task

    def _handle(self, outcome: TaskOutcome) -> None:
        task = cast("ShardTask", outcome.task)
        self._running.pop(task, None)
        if outcome.withdrawn:
            return
        if outcome.report is not None:
            self._commit(outcome.report)
        elif outcome.died is not None:
            self._died(task, outcome.died)
        elif outcome.problem is not None and outcome.problem["kind"] == "memory":
            self._died(task, "out of memory")
        else:
            self._stop(task, outcome.problem or {})

    def _commit(self, report: dict[str, Any]) -> None:
        summary, shard = self._job.summary, report["sidecar"].committed()
        self._job.done[shard.name] = shard
        self._judge.success()
        summary.rendered_shards += 1
        summary.worker_s += shard.wall_s
        summary.environments[shard.environment_digest] += 1
        summary.bad += [tuple(b) for b in report["bad"]][: _KEPT_REASONS - len(summary.bad)]
        summary.filtered.update(report["filtered"])
        summary.tally.add(shard, rendered=True)
        self._stop_for(self._too_many_failed())

    def _stop(self, task: ShardTask, problem: dict[str, Any]) -> None:
        """An error that no other shard would escape, such as a full disk: finish what runs, then raise it."""
        if self._error is not None:
            return
        if "traceback" in problem:
            self._job.progress.say(problem["traceback"])
        self._error = stop_error(problem, f"shard {task.name}")
        self._job.progress.say("stopping: the shards in flight are finished first")

    def _died(self, task: ShardTask, how: str) -> None:
        """Blame the sample that was in flight, if any; then the shard is tried again, unless it was given up."""
        storage = self._job.storage
        sample, since_s = journal.in_flight(storage, task.name)
        journal.forget(storage, task.name)
        verdict = self._judge.death(task.name, sample, how_it_died(how, sample, since_s, task.sample_limit_s, time.time()))
        self._job.progress.say(verdict.said)
        if sample and verdict.quarantine:
            journal.quarantine(storage, task.name, {**dict(task.skip), sample: verdict.quarantine})
        self._stop_for(verdict.error)
        if not verdict.give_up:
            self._queue.appendleft(self._shards[task.name])

    # -- limits

    def _enforce_limits(self, executor: Executor) -> None:
        now = time.monotonic()
        self._running.update(dict.fromkeys(cast("set[ShardTask]", executor.waiting()), now))
        for task, started in self._running.items():
            limit_s = shard_limit_s(self._job.manifest.limits, self._shards[task.name].samples)
            if now - started > limit_s:
                self._job.progress.say(f"{task.name}: longer than {limit_s:g} s, its worker is killed")
                executor.cancel(task)
                self._running[task] = now  # its death is reported by the executor

    def _too_many_failed(self) -> IncompleteError | None:
        tally, reasons = self._job.summary.tally, [reason for _, _, reason in self._job.summary.bad]
        return too_many_failed(tally.counts, tally.samples, self._job.manifest.limits, reasons)

    def _stop_for(self, error: IncompleteError | None) -> None:
        """The first error is the one that is raised at the end."""
        self._error = self._error or error
