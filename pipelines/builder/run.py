"""Build, resume or finish a corpus: what is asked, in which order the parts run, and what is left at the end.

All decisions that change bytes were made in the plan; where and in which order the work runs changes none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipelines.builder.finalize import finalize
from pipelines.builder.job import BuildJob, BuildOptions, BuildSummary
from pipelines.builder.lease import Lease, others_live
from pipelines.builder.preflight import preflight
from pipelines.builder.progress import BuildProgress, Tally
from pipelines.builder.resume import SidecarReader, forgive, split_work, sweep, uncommit
from pipelines.corpus.description import begin, plan_digest
from pipelines.corpus.plans import local_plan
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo
from pipelines.plan.samples import read_shard
from pipelines.sources.files import stat_uri
from pipelines.sources.listing import source_root
from pipelines.sources.uris import split_member
from pipelines.storage.open import open_storage
from pipelines.workers.executor import Executor

_TRIED_SAMPLES = 4


def build(
    manifest: Manifest,
    out: str,
    shards: Sequence[ShardInfo],
    generation: int = 0,
    earlier: Sequence[ShardInfo] = (),
    options: BuildOptions | None = None,
    progress: BuildProgress | None = None,
) -> BuildSummary:
    """Build, resume or finish the shards of one generation; ``earlier`` are those of the generations before.

    Raises IncompleteError when it can be resumed, UserError when this is another corpus, Interrupted after a signal.
    """
    options, progress = options or BuildOptions(), progress or BuildProgress("quiet")
    storage, shards = open_storage(out), list(shards)
    begin(storage, manifest, generation, shards)
    mine = [s for s in shards if s.number in options.share]
    hours = manifest.segment_frames / manifest.segment.sample_rate / 3600
    tally = Tally(len(mine), sum(s.samples for s in mine), hours)
    job = BuildJob(manifest, storage, shards, generation, plan_digest(shards), options, progress, BuildSummary(tally))
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
        storage.drop_scratch(lease.builder, others_live(storage, lease.builder))
        lease.release()
        job.summary.wall_s = time.monotonic() - started
    return job.summary


def _work_off(job: BuildJob, lease: Lease, started: float) -> None:
    """Render what is missing; returns when all of this share is committed."""
    from pipelines.builder.driver import Driver
    from pipelines.builder.stop import Stopper

    storage, options = job.storage, job.options
    executor: Executor | None = None
    reader: SidecarReader | None = None
    with Stopper(job.progress.say) as stopper:
        try:
            others = others_live(storage, lease.builder)
            storage.drop_scratch(lease.builder, others)
            files = storage.list()
            todo, present = split_work(job.mine, files)
            sweep(storage, job.mine, files, alone=not others)
            if "quarantined" in options.retry:
                forgive(storage, todo, files)
            if options.retry:
                again = uncommit(storage, present, options.retry)
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
                job.summary.workers = executor.most or executor.workers
                executor.close()


def _some_recordings(job: BuildJob, shard: ShardInfo) -> tuple[str, ...]:
    """Recordings that the driver can reach, one of each source in the first shard: every node must reach them too."""
    path = local_plan(job.storage, job.generation, job.plan_digest)
    roots = {source.name: source_root(source) for source in job.manifest.sources}
    first = {sample.source: sample.parts[0].uri for sample in reversed(read_shard(path, shard.number, roots))}
    readable = [first[name] for name in sorted(first) if not stat_uri(split_member(first[name])[0])[2]]
    return tuple(readable[:_TRIED_SAMPLES])
