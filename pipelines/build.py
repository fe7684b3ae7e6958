"""Build, resume or finish a corpus: what is asked, in which order the parts run, and what is left at the end.

All decisions that change bytes were made in the plan; where and in which order the work runs changes none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.build_corpus import begin_or_check, plan_digest
from pipelines.build_lease import Lease, Share, others_live
from pipelines.build_resume import SidecarReader, split_work
from pipelines.build_retry import without_outcomes
from pipelines.executors import Executor, Work, open_executor
from pipelines.finalize import finalize
from pipelines.manifest import Manifest
from pipelines.plan import ShardInfo, read_shard
from pipelines.preflight import preflight
from pipelines.progress import Progress, Tally
from pipelines.shard import local_plan, run_task
from pipelines.shard_sidecar import Committed
from pipelines.source_archives import MEMBER_MARK
from pipelines.source_files import stat_uri
from pipelines.sources import source_root
from pipelines.storage import Storage, clear_scratch, open_storage

_TRIED_SAMPLES = 4


@dataclass(frozen=True)
class Options:
    """How to run a build; none of this changes a byte of it."""

    executor: str = "auto"
    workers: int | None = None
    address: str | None = None
    share: Share = field(default_factory=Share)
    take_over: bool = False
    retry: tuple[str, ...] = ()  # outcomes that are tried again: "quarantined", "failed"
    finalize: bool = True
    sample_limit_s: float = 120.0
    memory_limit_mb: int = 0
    opened: Callable[[], Executor] | None = None  # gives one that is being started already
    work: Work = run_task

    def open(self) -> Executor:
        if self.opened is not None:
            return self.opened()
        return open_executor(self.executor, self.work, self.workers, self.address)


@dataclass
class Summary:
    """What a build did. ``bad``: the first (key, status, reason); ``filtered``: samples that this run left out, by reason;
    ``repaired``: shards that were damaged, and how."""

    tally: Tally
    rendered_shards: int = 0
    repaired: list[tuple[str, str]] = field(default_factory=list)
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    filtered: Counter = field(default_factory=Counter)
    environments: Counter = field(default_factory=Counter)
    finished: bool = False
    startup_s: float = 0.0
    wall_s: float = 0.0
    worker_s: float = 0.0
    workers: int = 0


@dataclass
class Job:
    """What the driver works on."""

    manifest: Manifest
    storage: Storage
    shards: list[ShardInfo]
    generation: int
    plan_digest: str
    options: Options
    progress: Progress
    summary: Summary
    done: dict[str, Committed] = field(default_factory=dict)

    @property
    def mine(self) -> list[ShardInfo]:
        return [s for s in self.shards if s.number in self.options.share]


def build(
    manifest: Manifest,
    out: str,
    shards: Sequence[ShardInfo],
    generation: int = 0,
    earlier: Sequence[ShardInfo] = (),
    options: Options | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Build, resume or finish the shards of one generation; ``earlier`` are those of the generations before.

    Raises IncompleteError when it can be resumed, UserError when this is another corpus, Interrupted after a signal.
    """
    options, progress = options or Options(), progress or Progress("quiet")
    storage, shards = open_storage(out), list(shards)
    begin_or_check(storage, manifest, generation, shards)
    mine = [s for s in shards if s.number in options.share]
    hours = manifest.segment_frames / manifest.segment.sample_rate / 3600
    tally = Tally(len(mine), sum(s.samples for s in mine), hours)
    job = Job(manifest, storage, shards, generation, plan_digest(shards), options, progress, Summary(tally))
    started = time.monotonic()
    lease = Lease(storage, options.share, tally.to_dict)
    lease.acquire(options.take_over)
    try:
        _work_off(job, lease, started)
        if options.finalize:
            progress.say("checking and writing the index")
            finalize(storage, manifest, [*earlier, *shards], job.done)
            job.summary.finished = True
    finally:
        progress.stop()
        clear_scratch(storage, lease.builder, others_live(storage, lease.builder))
        lease.release()
        job.summary.wall_s = time.monotonic() - started
    return job.summary


def _work_off(job: Job, lease: Lease, started: float) -> None:
    """Render what is missing; returns when all of this share is committed."""
    from pipelines.build_driver import Driver
    from pipelines.build_stop import Stopper

    storage, options = job.storage, job.options
    executor: Executor | None = None
    reader: SidecarReader | None = None
    with Stopper(job.progress.say) as stopper:
        try:
            clear_scratch(storage, lease.builder, others_live(storage, lease.builder))
            files = storage.list()
            todo, present = split_work(job.mine, files)
            if options.retry:
                again = without_outcomes(storage, present, options.retry)
                todo, present = todo + again, [s for s in present if s not in set(again)]
            reader = SidecarReader(storage, present, job.manifest.recipe_digest(), files)
            driver = Driver(job, lease, reader, stopper)
            if todo:
                driver.add(todo)
                executor = options.open()
                stopper.install()  # Ray puts its own handlers in place
                preflight(job.manifest, storage, executor, _some_recordings(job, todo[0]))
            job.summary.startup_s = time.monotonic() - started
            job.progress.start(job.summary.tally)
            executor = driver.run(executor)
        finally:
            if reader:
                reader.close()
            if executor:
                job.summary.workers = executor.workers
                executor.close()


def _some_recordings(job: Job, shard: ShardInfo) -> tuple[str, ...]:
    """Recordings that the driver can reach, one of each source in the first shard: every node must reach them too."""
    path = local_plan(job.storage, job.generation, job.plan_digest)
    roots = {source.name: source_root(source) for source in job.manifest.sources}
    first = {sample.source: sample.parts[0].uri for sample in reversed(read_shard(path, shard.number, roots))}
    readable = [first[name] for name in sorted(first) if not stat_uri(first[name].partition(MEMBER_MARK)[0])[2]]
    return tuple(readable[:_TRIED_SAMPLES])
