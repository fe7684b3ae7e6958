"""The loop of a build: start shards, hear what became of them, and judge dead workers, errors, limits and signals."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from pipelines import journal
from pipelines.build import Job
from pipelines.build_lease import Lease
from pipelines.build_resume import SidecarReader
from pipelines.build_stop import Stopper
from pipelines.executors import NODE_DIED, Executor, Outcome, ShardTask
from pipelines.plan import ShardInfo
from pipelines.shard_sidecar import committed
from pipelines.sources import source_root
from stylefx.errors import DamageError, IncompleteError, StylefxError, UserError

_ANONYMOUS_DEATHS = 3  # of one shard's workers, outside any sample
_DEATHS_IN_A_ROW = 8
_TICK_S = 0.5
_KEPT_REASONS = 20
_SHARD_S, _SAMPLE_S = 120.0, 30.0

_ERRORS: dict[int, type[StylefxError]] = {2: UserError, 3: IncompleteError, 4: DamageError}


class Driver:
    """Works off a job. ``run`` returns when every shard of the share is committed, or raises what stopped it."""

    def __init__(self, job: Job, lease: Lease, reader: SidecarReader, stopper: Stopper):
        self._job, self._lease, self._reader, self._stopper = job, lease, reader, stopper
        self._queue: deque[ShardInfo] = deque()
        self._running: dict[ShardTask, float] = {}
        self._attempts: Counter[str] = Counter()
        self._strikes: Counter[str] = Counter()
        self._anonymous: Counter[str] = Counter()
        self._in_a_row = 0
        self._given_up: list[str] = []
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
            if self._queue and executor is None:
                executor = self._job.options.open()
                self._stopper.install()
            if executor is not None:
                self._start(executor)
                for outcome in executor.wait(_TICK_S) if self._running else ():
                    self._handle(outcome)
                self._enforce_limits(executor)
            self._job.progress.update(self._job.summary.tally)
            self._lease.check()
            if not self._running and not self._queue and (self._reader.finished or stopping):
                break
        if self._error is not None:
            raise self._error
        self._stopper.check()
        if self._given_up:
            raise IncompleteError(
                f"{len(self._given_up)} shards were given up, the first is {self._given_up[0]}: "
                f"{_ANONYMOUS_DEATHS} workers died outside any sample; look at the memory of the nodes and run again"
            )
        self._check_failures()
        return executor

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
            self._limit_failures()

    # -- what became of a task

    def _handle(self, outcome: Outcome) -> None:
        self._running.pop(outcome.task, None)
        if outcome.report is not None:
            self._commit(outcome.report)
        elif outcome.died is not None:
            self._died(outcome.task, outcome.died)
        elif outcome.problem is not None and outcome.problem["kind"] == "memory":
            self._died(outcome.task, "out of memory")
        else:
            self._stop(outcome.task, outcome.problem or {})

    def _commit(self, report: dict[str, Any]) -> None:
        summary, shard = self._job.summary, committed(report)
        self._job.done[shard.name] = shard
        self._in_a_row = 0
        summary.rendered_shards += 1
        summary.worker_s += shard.wall_s
        summary.environments[shard.environment_digest] += 1
        summary.bad += [tuple(b) for b in report["bad"]][: _KEPT_REASONS - len(summary.bad)]
        summary.filtered.update(report["filtered"])
        summary.tally.add(shard, rendered=True)
        self._limit_failures()

    def _stop(self, task: ShardTask, problem: dict[str, Any]) -> None:
        """An error that no other shard would escape, such as a full disk: finish what runs, then raise it."""
        if self._error is not None:
            return
        if problem.get("kind") == "stop":
            self._error = _ERRORS.get(problem["exit_status"], StylefxError)(problem["message"])
        else:
            self._job.progress.say(problem.get("traceback", ""))
            self._error = StylefxError(f"an internal error in shard {task.name}: {problem.get('message')}")
        self._job.progress.say("stopping: the shards in flight are finished first")

    def _died(self, task: ShardTask, how: str) -> None:
        """Blame the sample that was in flight; after two strikes it is quarantined. Then the shard is tried again."""
        storage = self._job.storage
        key, since_s = journal.in_flight(storage, task.name)
        limit_s = task.sample_limit_s
        if key and limit_s and since_s is not None and time.time() - since_s >= limit_s:
            how = f"took longer than {limit_s:g} s"
        journal.forget(storage, task.name)
        if key and how != NODE_DIED:  # a machine that goes away is nobody's fault
            self._strikes[key] += 1
            self._job.progress.say(f"{task.name}: a worker died on {key} ({how}), strike {self._strikes[key]}")
            if self._strikes[key] >= journal.STRIKES:
                reason = f"ended its worker {journal.STRIKES} times ({how})"
                journal.quarantine(storage, task.name, {**dict(task.skip), key: reason})
        else:
            self._anonymous[task.name] += 1
            self._in_a_row += how != NODE_DIED  # one machine takes as many shards with it as it has cores
            self._job.progress.say(f"{task.name}: a worker died outside any sample ({how})")
            if self._in_a_row >= _DEATHS_IN_A_ROW and self._error is None:
                self._error = IncompleteError(
                    f"{self._in_a_row} workers in a row died outside any sample ({how}); "
                    "look at memory and installation of the nodes, then run the same command again"
                )
            if self._anonymous[task.name] >= _ANONYMOUS_DEATHS:
                self._given_up.append(task.name)
                return
        self._queue.appendleft(self._shards[task.name])

    # -- limits

    def _enforce_limits(self, executor: Executor) -> None:
        now = time.monotonic()
        for task, started in self._running.items():
            samples = self._shards[task.name].samples
            limit_s = self._job.manifest.limits.shard_seconds or _SHARD_S + _SAMPLE_S * samples
            if now - started > limit_s:
                self._job.progress.say(f"{task.name}: longer than {limit_s:g} s, its worker is killed")
                executor.cancel(task)
                self._running[task] = now  # its death is reported by the executor

    def _failures(self) -> tuple[int, float]:
        """(failed and quarantined samples so far, how many are acceptable)."""
        counts, share = self._job.summary.tally.counts, self._job.manifest.limits.max_failed_share
        return counts["failed"] + counts["quarantined"], share * self._job.summary.tally.samples

    def _limit_failures(self) -> None:
        bad, acceptable = self._failures()
        if bad > acceptable and self._error is None:
            self._error = self._too_many(bad)

    def _check_failures(self) -> None:
        bad, acceptable = self._failures()
        if bad > acceptable:
            raise self._too_many(bad)
        filtered, planned = self._job.summary.tally.counts["filtered"], self._job.summary.tally.samples
        if filtered > self._job.manifest.limits.max_filtered_share * planned:
            raise IncompleteError(
                f"{filtered} of {planned} samples were filtered, more than limits.max_filtered_share = "
                f"{self._job.manifest.limits.max_filtered_share:g} allows; look at the reasons, or raise the limit and run again"
            )

    def _too_many(self, bad: int) -> IncompleteError:
        limits, tally = self._job.manifest.limits, self._job.summary.tally
        reasons = Counter(reason for _, _, reason in self._job.summary.bad)
        example = f" (such as: {reasons.most_common(1)[0][0]})" if reasons else ""
        return IncompleteError(
            f"{bad} of {tally.samples} samples failed, more than limits.max_failed_share = {limits.max_failed_share:g} "
            f"allows{example}; mend them and run again with --retry-failed, or raise the limit"
        )
