"""The product on the virtual clock: driver, leases, journal, shards, index and storage run as they are.

What is put in their way is time, threads, process numbers, Ray, and the sound: of a sample nothing but its key is written.
Simulated threads alone see it; real ones keep the real clock.
"""

from __future__ import annotations

import functools
import io
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import yaml

import pipelines.builder.driver as _driver  # noqa: F401 - imported late by the product, and here before its clock is replaced
import pipelines.builder.lease as lease
import pipelines.builder.preflight as preflight
import pipelines.builder.resume as resume
import pipelines.builder.run as run
import pipelines.builder.stop as stop
import pipelines.corpus.cards as cards
import pipelines.corpus.readme as readme
import pipelines.corpus.view as view
import pipelines.shards.make as make
import pipelines.storage.objects as objects
import pipelines.workers.ray as ray_executor
import stylefx.files.patience as patience
import stylefx.files.processes.lease as liveness
from benchmarks.simulation import cluster, store, threads
from benchmarks.simulation.clock import EPOCH_S, process, strand
from pipelines.render.sample import RenderedSample


def simulated(real: Callable[..., Any], virtual: Callable[..., Any]) -> Callable[..., Any]:
    """``virtual`` for simulated threads, ``real`` for all others."""

    def either(*arguments: Any) -> Any:
        return (virtual if process() is not None else real)(*arguments)

    return either


def _pause(seconds: float) -> None:
    strand().simulation.pause(seconds)


def _unix_s() -> float:
    return EPOCH_S + strand().simulation.now_s + process().machine.skew_s


def _uuid() -> uuid.UUID:
    return uuid.UUID(int=strand().simulation.random.getrandbits(128))


def _lives(pid: int) -> bool:
    found = process().machine.processes.get(pid)
    return found is not None and found.alive


class _Ending:
    """``patience.ending``: no process of ours is told that it is about to end."""

    @staticmethod
    def wait(seconds: float) -> bool:
        _pause(seconds)
        return False


class _Passed:
    """``pipelines.workers.ray._passed``, of each worker process."""

    @staticmethod
    def _mine() -> set[str]:
        return process().memory.setdefault("passed", set())

    def __contains__(self, identity: str) -> bool:
        return identity in self._mine()

    def add(self, identity: str) -> None:
        self._mine().add(identity)


class _Stopper(stop.Stopper):
    """One that signals can be given to: process().memory["stopper"]."""

    def __enter__(self) -> _Stopper:
        process().memory["stopper"] = self
        return self

    def install(self) -> None:
        """The real process keeps its own handlers."""

    def __exit__(self, *exception: object) -> None:
        pass


@contextmanager
def _limit(limit_s: float) -> Iterator[None]:
    """A sample's time limit ends the process."""
    if limit_s <= 0:
        yield
        return
    simulation, mine, over = strand().simulation, process(), [False]
    simulation.after(limit_s, lambda: over[0] or mine.kill())
    try:
        yield
    finally:
        over[0] = True


class _Decoder:
    def expect(self, samples: Any) -> None:
        pass

    check_large = expect


class _Floor:
    def __init__(self, manifest: Any, at_least_one: bool):
        pass

    def add(self, rendered: Any) -> None:
        pass

    def to_dict(self) -> dict[str, Any]:
        return {}


def _rendered(manifest: Any, sample: Any, decoder: Any = None, clock: Any = None) -> RenderedSample:
    """Instead of sound: the key. What rendering does to its process is the simulation's business."""
    strand().simulation.rendering(sample.key)
    document = {"format": 1, "key": sample.key, "label": sample.label, "input": [], "target": [], "metrics": {}}
    members = {
        f"{half}.{branch}.flac": f"{sample.key} {half} {branch}".encode() for half in "ab" for branch in ("input", "target")
    }
    return RenderedSample(sample.key, members, document, {}, {"target": np.zeros((1, 2), np.float32)})


class _Table:
    """A Parquet file in memory, read without waking threads of Arrow, which takes longer than our small tables, and once."""

    def __init__(self, data: bytes):
        self._file = pq.ParquetFile(io.BytesIO(data))
        self.schema_arrow, self.metadata = self._file.schema_arrow, self._file.metadata
        self._read: dict[str, Any] = {}

    def read(self, columns: list[str] | None = None) -> Any:
        key = repr(columns)
        if key not in self._read:
            self._read[key] = self._file.read(columns=columns, use_threads=False)
        return self._read[key]


@functools.cache
def _table(data: bytes) -> _Table:
    return _Table(data)


def _once(write: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function whose answers are kept: parts of cards are the same in most plays, and take longer than all requests."""
    known: dict[str, Any] = {}

    def kept(*arguments: Any, **options: Any) -> Any:
        key = repr((arguments, options))
        if key not in known:
            known[key] = write(*arguments, **options)
        return known[key]

    return kept


_dumped, _as_json = _once(yaml.safe_dump), _once(cards._json)


def _planned(plan_path: Any, number: int, roots: Any = None) -> Any:
    """A shard's samples as ``read_shard`` gives them: read once, and not by every worker of every play."""
    assert Path(plan_path).is_file()
    return strand().simulation.plan.samples[number]


def _modules() -> dict[str, ModuleType]:
    """What ``import ray`` finds."""
    ray, util, strategies = ModuleType("ray"), ModuleType("ray.util"), ModuleType("ray.util.scheduling_strategies")
    ray.get_runtime_context = cluster.worker_view().get_runtime_context
    ray.util, util.scheduling_strategies = util, strategies
    strategies.NodeAffinitySchedulingStrategy = cluster.Affinity
    return {module.__name__: module for module in (ray, util, strategies)}


@contextmanager
def on_virtual_time(disks: Path) -> Iterator[None]:
    """``disks``: a folder in which each simulated machine has its own for temporary files."""
    store.register()
    replaced = [
        (time, "time", simulated(time.time, _unix_s)),
        (time, "monotonic", simulated(time.monotonic, lambda: strand().simulation.now_s)),
        (time, "sleep", simulated(time.sleep, _pause)),
        (uuid, "uuid4", simulated(uuid.uuid4, _uuid)),
        (os, "getpid", simulated(os.getpid, lambda: process().pid)),
        (socket, "gethostname", simulated(socket.gethostname, lambda: process().machine.name)),
        (lease, "threading", SimpleNamespace(Thread=threads.Thread, Event=threads.Event)),
        (lease, "machine", lambda: process().machine.name),
        (liveness, "machine", lambda: process().machine.name),
        (liveness, "process_lives", _lives),
        (patience, "ending", _Ending),
        (resume, "ThreadPoolExecutor", threads.Pool),
        (resume, "wait", threads.wait),
        (objects, "tempfile", SimpleNamespace(gettempdir=lambda: str(disks / process().machine.name))),
        (stop, "Stopper", _Stopper),
        (preflight, "compile_on_all_cores", lambda manifest: None),
        (preflight, "load_kernels", lambda manifest: None),
        (ray_executor, "import_ray", lambda: process().memory["ray"]),
        (ray_executor, "become_worker", lambda: None),
        (ray_executor, "_passed", _Passed()),
        (view, "pq", SimpleNamespace(ParquetFile=lambda file: _table(file.getvalue()))),
        (make, "_parquet", _once(make._parquet)),
        (readme, "yaml", SimpleNamespace(safe_dump=_dumped)),
        (cards, "_json", _as_json),
        (run, "read_shard", _planned),
        (make, "read_shard", _planned),
        (make, "limit_memory", lambda limit_mb: None),
        (make, "kernels_loaded", lambda manifest: None),
        (make, "_decoder", lambda sample_rate, channels: _Decoder()),
        (make, "FloorMeter", _Floor),
        (make, "sample_limit", _limit),
        (make, "render_sample", _rendered),
    ]
    with ExitStack() as stack:
        for module, name, value in replaced:
            stack.enter_context(mock.patch.object(module, name, value))
        stack.enter_context(mock.patch.dict(sys.modules, _modules()))
        yield
