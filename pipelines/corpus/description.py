"""corpus.json: what a corpus was begun with. Written first; a later build with something else is refused, field by field."""

from __future__ import annotations

import json
from typing import Any

from pipelines.manifest.differences import differences, manifest_differences, sentence
from pipelines.manifest.model import Manifest
from pipelines.plan.file import ShardInfo
from pipelines.storage.base import Storage
from stylefx.corpus.schema import CORPUS_FILE, FORMAT, FORMAT_VERSION
from stylefx.errors import DamageError, UserError
from stylefx.keyed import hex_digest


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


def continued(storage: Storage, manifest: Manifest) -> Manifest:
    """The manifest as the corpus was begun with it where it leaves the audio format open: the default was another once."""
    if "audio_format" in manifest.model_fields_set:
        return manifest
    corpus = read_corpus(storage)
    begun = None if corpus is None else corpus["manifest"].get("audio_format")
    return manifest if begun in (None, manifest.audio_format) else manifest.model_copy(update={"audio_format": begun})


def begin(storage: Storage, manifest: Manifest, generation: int, shards: list[ShardInfo]) -> None:
    """Write corpus.json, add a generation to it, or resume: UserError unless this build is the one that was begun."""
    entry = generation_entry(generation, manifest, shards)
    data = read_corpus(storage)
    if data is None:
        data = {"format": FORMAT, "version": FORMAT_VERSION, "manifest": manifest.to_dict(), "generations": [entry]}
        storage.write(CORPUS_FILE, json.dumps(data, indent=1).encode())
        return
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
