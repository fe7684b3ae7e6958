"""What a build is asked to do, what it works on, and what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.builder.lease import Share
from pipelines.builder.progress import BuildProgress, Tally
from pipelines.corpus.sidecar import Committed
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo
from pipelines.shards.make import load_ahead, run_task
from pipelines.storage.base import Storage
from pipelines.workers.crew import Crew
from pipelines.workers.executor import Executor, Work
from pipelines.workers.open import open_executor


@dataclass(frozen=True)
class BuildOptions:
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

    def open(self, crew: Crew | None = None) -> Executor:
        """The executor; ``crew``: workers that run already."""
        if self.opened is not None:
            return self.opened()
        return open_executor(self.executor, self.work, self.workers, self.address, crew, load_ahead)


@dataclass
class BuildSummary:
    """What a build did. ``bad``: the first (key, status, reason); ``filtered``: samples that this run left out, by reason;
    ``repaired``: shards that were damaged, and how."""

    tally: Tally
    rendered_shards: int = 0
    repaired: list[tuple[str, str]] = field(default_factory=list)
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    filtered: Counter[str] = field(default_factory=Counter)
    environments: Counter[str] = field(default_factory=Counter)
    finished: bool = False
    startup_s: float = 0.0
    wall_s: float = 0.0
    worker_s: float = 0.0
    workers: int = 0


@dataclass
class BuildJob:
    """What the driver works on."""

    manifest: Manifest
    storage: Storage
    shards: list[ShardInfo]
    generation: int
    plan_digest: str
    options: BuildOptions
    progress: BuildProgress
    summary: BuildSummary
    done: dict[str, Committed] = field(default_factory=dict)

    @property
    def mine(self) -> list[ShardInfo]:
        return [s for s in self.shards if s.number in self.options.share]
