"""corpus.json: what a corpus was begun with. Written first; a later build with something else is refused, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.manifest import Manifest
from pipelines.plan import ShardInfo
from pipelines.storage import Storage
from stylefx.corpus.schema import CORPUS_FILE, FORMAT, FORMAT_VERSION
from stylefx.errors import DamageError, UserError
from stylefx.keyed import hex_digest

_SHOWN = 8
_FREE = ("output", "limits")  # where it lies and how patient to be changes no byte
_FREE_OF_SOURCES = ("path", "root", "url")
_FREE_TO_GROW = ("sources", "filters", "selection", "split.train", "split.val", "split.test")


@dataclass(frozen=True)
class Difference:
    """One field that is not as it was."""

    field: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field} was {_shown(self.was)}, is {_shown(self.now)}"


def _shown(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def differences(was: Any, now: Any, path: str = "") -> Iterator[Difference]:
    """Leaf by leaf, in order."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from differences(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for i, (a, b) in enumerate(zip(was, now, strict=True)):
            yield from differences(a, b, f"{path}.{i}")
    elif was != now:
        yield Difference(path, was, now)


def sentence(found: list[Difference]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(map(str, found[:_SHOWN])) + more


def plan_digest(shards: list[ShardInfo]) -> str:
    """Digest of which samples are in which shard (32 hexadecimal digits); where recordings lie is no part of it."""
    return hex_digest("plan", *(f"{s.name} {s.samples} {s.digest}" for s in shards))


def generation_entry(number: int, manifest: Manifest, shards: list[ShardInfo]) -> dict[str, Any]:
    return {
        "number": number,
        "plan_digest": plan_digest(shards),
        "manifest_digest": manifest.recipe_digest(),
        "shards": len(shards),
        "samples": sum(s.samples for s in shards),
    }


def read_corpus(storage: Storage) -> dict[str, Any] | None:
    """corpus.json, None where there is none; DamageError when it is not what ``build`` writes."""
    try:
        data = json.loads(storage.read(CORPUS_FILE))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise DamageError(f"{CORPUS_FILE} in {storage.where} is not JSON; restore it, or build into another folder") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DamageError(f"{CORPUS_FILE} in {storage.where} is not of format {FORMAT}; build into another folder")
    if data.get("version") != FORMAT_VERSION:
        raise UserError(
            f"the corpus in {storage.where} has version {data.get('version')!r}, this program writes version {FORMAT_VERSION}; "
            "use the program that began it"
        )
    shape = isinstance(data.get("manifest"), dict) and isinstance(data.get("generations"), list)
    if not shape or not all(isinstance(g, dict) for g in data["generations"]):
        raise DamageError(f"{CORPUS_FILE} in {storage.where} lacks its manifest or generations; restore it")
    return data


def manifest_differences(was: dict, now: dict, growing: bool = False) -> list[Difference]:
    """The differences that a resumed build may not have; ``growing`` allows what a new generation may change."""
    free = _FREE + (_FREE_TO_GROW if growing else ())

    def bound(d: Difference) -> bool:
        parts = d.field.split(".")
        if any(d.field == f or d.field.startswith(f + ".") for f in free):
            return False
        return not (parts[0] == "sources" and parts[-1] in _FREE_OF_SOURCES)

    return [d for d in differences(was, now) if bound(d)]


def begin_or_check(storage: Storage, manifest: Manifest, generation: int, shards: list[ShardInfo]) -> dict[str, Any]:
    """Write corpus.json, add a generation to it, or check that this build is the one that was begun."""
    entry = generation_entry(generation, manifest, shards)
    data = read_corpus(storage)
    if data is None:
        data = {"format": FORMAT, "version": FORMAT_VERSION, "manifest": manifest.to_dict(), "generations": [entry]}
        storage.write(CORPUS_FILE, json.dumps(data, indent=1).encode())
        return data
    growing = generation == len(data["generations"])
    found = manifest_differences(data["manifest"], manifest.to_dict(), growing or generation > 0)
    if found:
        raise UserError(
            f"the manifest is not the one that {storage.where} was begun with: {sentence(found)}; "
            "restore it, or build into another folder with --out"
        )
    if growing:
        data["generations"].append(entry)
        data["manifest"] = manifest.to_dict()
        storage.write(CORPUS_FILE, json.dumps(data, indent=1).encode())
    elif generation > len(data["generations"]):
        raise UserError(f"{storage.where} has {len(data['generations'])} generations, number {generation} cannot come next")
    else:
        found = list(differences(data["generations"][generation], entry))
        if found:
            raise UserError(
                f"plan-{generation:04d}.parquet is not the plan that {storage.where} was begun with: {sentence(found)}; "
                "restore the plan and the manifest, or build into another folder with --out"
            )
    return data
