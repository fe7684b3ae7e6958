"""croissant.json: MLCommons Croissant 1.1 metadata of a corpus."""

from __future__ import annotations

import re
from typing import Any

from pipelines.corpus.readme import _members
from pipelines.corpus.view import CorpusView

#: the standard's own context
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
            "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
            "path", "recordSet", "references", "regex",
            "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip
_TYPES = {"flac": "audio/flac", "wav": "audio/wav", "json": "application/json"}


def _croissant(view: CorpusView, shards: dict[str, list[dict[str, Any]]], sources: list[dict[str, Any]]) -> dict[str, Any]:
    """Every tar is a FileObject with its sha256; the members of one name in all tars are a FileSet and a record set, whose
    records ({key, audio} or the document's fields) belong together by their keys."""
    tars = [_tar(s) for listed in shards.values() for s in listed]
    members = [*_members(view), "json"]
    manifest = view.manifest
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest["name"],
        "description": f"Pairs of recordings for style transfer of audio effects, preset {manifest['preset']}.",
        "license": sorted({s["licence"] for s in sources}),
        "creditText": "; ".join(s["attribution"] for s in sources if s["attribution"]),
        "version": f"{len((view.index or {})['generations'])}.0.0",
        "distribution": [*tars, *(_file_set(member, tars) for member in members)],
        "recordSet": [_record_set(member, manifest["segment"]["sample_rate"]) for member in members],
    }


def _tar(shard: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"{shard['name']}.tar",
        "name": f"{shard['name'].replace('/', '-')}.tar",
        "contentUrl": f"{shard['name']}.tar",
        "contentSize": f"{shard['bytes']} B",
        "encodingFormat": "application/x-tar",
        "sha256": shard["sha256"],
    }


def _file_set(member: str, tars: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{member}-files",
        "name": f"{member}-files",
        "containedIn": [{"@id": t["@id"]} for t in tars],
        "encodingFormat": _TYPES[member.rsplit(".", 1)[-1]],
        "includes": f"*.{member}",
    }


def _record_set(member: str, sample_rate: int) -> dict[str, Any]:
    """Records of one member: its key, and what it holds."""
    name = member.rsplit(".", 1)[0]
    files = {"@id": f"{member}-files"}
    of_name = {
        "fileSet": files,
        "extract": {"fileProperty": "filename"},
        "transform": {"regex": rf"^(.*)\.{re.escape(member)}$"},
    }
    content = {"fileSet": files, "extract": {"fileProperty": "content"}}
    kind = "sc:AudioObject" if member != "json" else "sc:Text"
    held = {**content, "samplingRate": sample_rate} if member != "json" else content
    fields = [("key", "sc:Text", of_name), ("audio" if member != "json" else "document", kind, held)]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/key"},
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{field}", "name": field, "dataType": data_type, "source": source}
            for field, data_type, source in fields
        ],
    }
