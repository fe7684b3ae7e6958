"""Overlays from end to end: which shards are to be mapped, by whom, and the index when all are there."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pipelines.corpus.tar import walk
from pipelines.overlays.task import SIDECAR, OverlayTask, load_function
from pipelines.storage.base import Storage
from pipelines.storage.open import open_storage
from pipelines.workers.executor import Executor, stop_error
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.samples.overlay import FOLDER, FORMAT, VERSION
from stylefx.errors import DamageError, IncompleteError, UserError

_TRIES = 2
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_KEYS = ("name", "samples", "bytes", "sha256", "parquet_sha256", "base_sha256")


@dataclass(frozen=True)
class OverlaySummary:
    """``mapped`` shards now of ``shards``."""

    where: str
    shards: int
    mapped: int
    samples: int


def make_overlay(
    corpus: str, function: str, name: str | None, replace: bool, opened: Callable[[], Executor], say: Callable[[str], None]
) -> OverlaySummary:
    """Map what is not mapped yet, then write the index. No file of the base is written."""
    _, digest = load_function(function)
    name = name or function.rpartition(":")[2].replace("_", "-").lower()
    if not _NAME.match(name):
        raise UserError(f"--name {name!r} is no name of an overlay; use small letters, digits and hyphens")
    base = open_corpus(corpus)
    place = f"{open_storage(corpus).where}/{FOLDER}/{name}"
    storage, builder = open_storage(place), uuid.uuid4().hex[:16]
    known = {} if replace else _committed(storage, digest, name)
    tasks = [
        OverlayTask(s.name, corpus, place, function, digest, s.sha256, builder)
        for s in base.shards
        if known.get(s.name, {}).get("base_sha256") != s.sha256
    ]
    if tasks:
        storage.delete("index.json")
        executor = opened()
        try:
            _work_off(executor, tasks, say)
        finally:
            executor.close()
            storage.drop_scratch(builder)
    found = _committed(storage, digest, name)
    entries = [{key: found[s.name][key] for key in _KEYS} for s in base.shards]
    index = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "function": function,
        "function_sha256": digest,
        "shards": entries,
    }
    storage.write("index.json", json.dumps(index, indent=1).encode())
    return OverlaySummary(place, len(entries), len(tasks), sum(e["samples"] for e in entries))


def _committed(storage: Storage, digest: str, name: str) -> dict[str, dict[str, Any]]:
    """The sidecars of shards that are there whole; UserError where another function made them."""
    files, out = storage.list(), {}
    for file in files:
        if not file.endswith(".json") or file == "index.json" or file.startswith("."):
            continue
        try:
            sidecar = json.loads(storage.read(file))
        except (FileNotFoundError, ValueError):
            continue
        shard = file.removesuffix(".json")
        if not isinstance(sidecar, dict) or sidecar.get("format") != SIDECAR or sidecar.get("name") != shard:
            continue
        if sidecar.get("function_sha256") != digest:
            raise UserError(
                f"the overlay {name!r} was begun with another function ({sidecar.get('function')}), or its module has changed; "
                "restore it, give another --name, or --replace"
            )
        if files.get(f"{shard}.tar") == sidecar.get("bytes") and f"{shard}.parquet" in files:
            out[shard] = sidecar
    return out


def _work_off(executor: Executor, tasks: list[OverlayTask], say: Callable[[str], None]) -> None:
    waiting, attempts, running, done = list(reversed(tasks)), Counter[str](), 0, 0
    while waiting or running:
        while waiting and running < executor.workers:
            executor.submit(waiting.pop())
            running += 1
        for outcome in executor.wait(0.5):
            running -= 1
            task, problem = cast("OverlayTask", outcome.task), outcome.problem or {}
            if outcome.report is not None:
                done += 1
                say(f"{done}/{len(tasks)} shards")
            elif problem and problem["kind"] != "memory":
                raise stop_error(problem, f"shard {task.name}")
            else:
                attempts[task.name] += 1
                if attempts[task.name] >= _TRIES:
                    how = outcome.died or "out of memory"
                    times = f"{_TRIES} times in {task.name} ({how})"
                    raise IncompleteError(f"{task.function} ended its worker {times}; mend it and run again")
                waiting.append(task)
        for line in executor.news():
            say(line)


def verify_overlays(storage: Storage) -> list[str]:
    """What is wrong with the overlays of a corpus: every byte is compared with what was committed, keys with the base's."""
    names = sorted({n.split("/")[1] for n in storage.list(FOLDER) if n.count("/") > 1})
    findings = []
    for name in names:
        place = f"{FOLDER}/{name}"
        try:
            index = json.loads(storage.read(f"{place}/index.json"))
            for entry in index["shards"]:
                findings += _damage(storage, place, entry)
        except FileNotFoundError:
            continue  # not finished
        except (ValueError, KeyError, TypeError):
            findings.append(f"{place}/index.json is damaged; run overlay again")
    return findings


def _damage(storage: Storage, place: str, entry: dict[str, Any]) -> list[str]:
    try:
        for suffix, key in ((".tar", "sha256"), (".parquet", "parquet_sha256")):
            data = storage.read(f"{place}/{entry['name']}{suffix}")
            if hashlib.sha256(data).hexdigest() != entry[key]:
                return [f"{place}/{entry['name']}{suffix} is not what was committed; delete it and run overlay again"]
            if suffix == ".tar" and not _keys(data) <= _keys(storage.read(f"{entry['name']}.tar")):
                return [f"{place}/{entry['name']}.tar has keys that its base lacks; run overlay again"]
    except FileNotFoundError as error:
        return [f"{place}/{entry['name']} is missing ({error}); run overlay again"]
    except DamageError as error:
        return [f"{place}/{entry['name']}.tar: {error}"]
    return []


def _keys(tar: bytes) -> set[str]:
    return {member.name.partition(".")[0] for member in walk(iter([tar]), len(tar))}
