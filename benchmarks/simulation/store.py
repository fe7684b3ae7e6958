"""An object store in memory, as an fsspec file system ``sim://``: requests take time, fail, lose their replies, come late; its
listings are stale. What is kept is versioned by time, so that a listing of some seconds ago can be given."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from benchmarks.simulation.clock import Simulation, strand

PROTOCOL = "sim"


class ServerBusy(Exception):
    """An answer 503."""

    status = 503


@dataclass(frozen=True)
class Weather:
    """How bad the store is: shares of requests, and seconds."""

    busy: float = 0.0
    lost_reply: float = 0.0  # the request was carried out, the answer did not come
    late: float = 0.0  # of the failed: carried out after the client had given it up
    late_s: float = 10.0
    stale: float = 0.0  # of the listings
    stale_s: float = 5.0
    slow: float = 0.0
    latency_s: float = 0.05
    outages: tuple[tuple[float, float], ...] = ()  # (from, to): every request fails


@dataclass
class Store:
    """Objects by name: (time, bytes or None for deleted), newest last. ``watch`` is told of every change when it is made."""

    simulation: Simulation
    weather: Weather = field(default_factory=Weather)
    objects: dict[str, list[tuple[float, bytes | None]]] = field(default_factory=dict)
    watch: Callable[[str, bytes | None], None] = lambda name, data: None
    requests: int = 0
    trace: Any = field(default_factory=hashlib.blake2b)

    def get(self, name: str) -> bytes | None:
        versions = self.objects.get(name)
        return versions[-1][1] if versions else None

    def put(self, name: str, data: bytes | None) -> None:
        versions = self.objects.setdefault(name, [])
        if data is None and not (versions and versions[-1][1] is not None):
            return
        versions.append((self.simulation.now_s, data))
        # without the size: documents tell how long the real work took
        self.trace.update(f"{self.simulation.now_s:.6f} {name} {'removed' if data is None else 'put'}\n".encode())
        self.watch(name, data)

    def names(self, prefix: str, ago_s: float = 0.0) -> dict[str, int]:
        """{name: bytes} below a prefix, as it was."""
        until = self.simulation.now_s - ago_s
        out = {}
        for name, versions in self.objects.items():
            if name.startswith(prefix):
                data = next((d for t, d in reversed(versions) if t <= until), None)
                if data is not None:
                    out[name] = len(data)
        return dict(sorted(out.items()))

    def request(self, change: Callable[[], Any]) -> Any:
        """Carry out a request as the weather allows: ``change`` at the store, then the reply."""
        simulation, weather, draw = self.simulation, self.weather, self.simulation.random.random
        self.requests += 1
        latency_s = weather.latency_s * (0.5 + draw()) * (40.0 if draw() < weather.slow else 1.0)
        simulation.pause(latency_s / 2)
        if any(since <= simulation.now_s < until for since, until in weather.outages):
            simulation.pause(latency_s / 2)
            raise ServerBusy("503 Service Unavailable")
        if draw() < weather.busy:
            if draw() < weather.late:
                simulation.after(draw() * weather.late_s, lambda: _quietly(change))
                simulation.pause(1.0)
                raise TimeoutError("no answer")
            simulation.pause(latency_s / 2)
            raise ServerBusy("503 Slow Down")
        answer = change()
        simulation.pause(latency_s / 2)
        if draw() < weather.lost_reply:
            simulation.pause(1.0)
            raise ConnectionResetError("the connection was closed before the answer came")
        return answer


def _quietly(change: Callable[[], Any]) -> None:
    with contextlib.suppress(FileNotFoundError):
        change()


class SimulatedFileSystem(AbstractFileSystem):
    """What ``pipelines.storage.objects`` uses of fsspec; the store is the one of the simulation that the calling thread is in."""

    protocol = PROTOCOL
    cachable = False

    @property
    def _store(self) -> Store:
        here = strand()
        assert here is not None, "only simulated threads reach the simulated store"
        return here.simulation.store

    def find(self, path: str, detail: bool = False, **_options: Any) -> Any:
        store = self._store
        draw = store.simulation.random.random
        ago_s = draw() * store.weather.stale_s if draw() < store.weather.stale else 0.0
        found = store.request(lambda: store.names(path.rstrip("/") + "/", ago_s))
        return {name: {"size": size} for name, size in found.items()}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_options: Any) -> bytes:
        store = self._store

        def change() -> bytes:
            data = store.get(path)
            if data is None:
                raise FileNotFoundError(path)
            return data[start:end]

        return store.request(change)

    def pipe_file(self, path: str, value: bytes, **_options: Any) -> None:
        store, data = self._store, bytes(value)
        store.request(lambda: store.put(path, data))

    def rm_file(self, path: str) -> None:
        store = self._store

        def change() -> None:
            if store.get(path) is None:
                raise FileNotFoundError(path)
            store.put(path, None)

        store.request(change)

    def isfile(self, path: str) -> bool:
        store = self._store
        return bool(store.request(lambda: store.get(path) is not None))


def register() -> None:
    fsspec.register_implementation(PROTOCOL, SimulatedFileSystem, clobber=True)
