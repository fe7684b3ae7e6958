"""Cards and views of a finished corpus that other tools read, written when it is finalised.

README.md         what is in it, with a YAML header for Hugging Face `datasets`
croissant.json    MLCommons Croissant 1.0 metadata
wids-SPLIT.json   index of a split for `wids` / `webdataset.ShardListDataset`
sizes.json        samples per tar, for tools of the webdataset family
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import yaml

from pipelines.corpus_view import CorpusView
from stylefx.corpus.schema import AUDIO_FORMATS, BRANCHES, HALVES, STATUS_OK

#: how Hugging Face names the splits
_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def card_files(view: CorpusView) -> dict[str, bytes]:
    """File name -> bytes; a pure function of the committed corpus, so that writing it twice gives the same bytes."""
    shards = _by_split(view)
    sources = _sources(view)
    files = {"README.md": _readme(view, shards, sources).encode()}
    files["croissant.json"] = _json(_croissant(view, shards, sources))
    files["sizes.json"] = _json({f"{s['name']}.tar": s["samples"] for listed in shards.values() for s in listed})
    for split, listed in shards.items():
        index = {
            "__kind__": "wids-shard-index-v1",
            "wids_version": 1,
            "name": f"{view.manifest['name']}-{split}",
            "shardlist": [{"url": f"{s['name']}.tar", "nsamples": s["samples"], "filesize": s["bytes"]} for s in listed],
        }
        files[f"wids-{split}.json"] = _json(index)
    return files


def write_cards(view: CorpusView) -> list[str]:
    """Write the cards into the corpus; returns their names."""
    files = card_files(view)
    for name, data in files.items():
        view.storage.write(name, data)
    return list(files)


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _by_split(view: CorpusView) -> dict[str, list[dict[str, Any]]]:
    """The shards that hold samples, by split, in the order of their names."""
    out: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for shard in sorted((view.index or {})["shards"], key=lambda s: s["name"]):
        if shard["samples"]:
            out[shard["split"]].append(shard)
    return dict(sorted(out.items(), key=lambda item: list(_HUB_SPLITS).index(item[0])))


def _sources(view: CorpusView) -> list[dict[str, Any]]:
    """Per source: licence, attribution, where it is from, samples and hours that made it into the corpus.

    Licences and attributions are those that the plans of all generations carry: a list can state one per recording, and a
    source of an earlier generation need not be in the manifest any more.
    """
    count: dict[str, int] = defaultdict(int)
    for row in view.rows(["source", "status"]):
        count[row["source"]] += row["status"] == STATUS_OK
    stated: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"licence": set(), "attribution": set()})
    names = ["source", "licence", "attribution"]
    for row in view.plan(names).group_by(names).aggregate([]).to_pylist():
        for field in ("licence", "attribution"):
            stated[row["source"]][field].add(row[field])
    manifest = {s["name"]: s for s in view.manifest["sources"]}
    segment = view.manifest["segment"]
    seconds = 2 * segment["half_frames"] / segment["sample_rate"]
    return [
        {
            "name": name,
            **{field: "; ".join(sorted(filter(None, values))) for field, values in stated[name].items()},
            "url": manifest.get(name, {}).get("url") or "",
            "samples": count[name],
            "hours": count[name] * seconds / 3600,
        }
        for name in [*manifest, *sorted(stated.keys() - manifest.keys())]
        if name in stated
    ]


def _members(view: CorpusView) -> list[str]:
    kept = {"pair": BRANCHES[:2], "dry": BRANCHES[2:], "both": BRANCHES}[view.manifest["store"]]
    extension = AUDIO_FORMATS[view.manifest["audio_format"]][0]
    return [f"{half}.{branch}.{extension}" for branch in kept for half in HALVES]


def _features(view: CorpusView) -> list[dict[str, Any]]:
    """Columns for `datasets`: audio as bytes (cast a column to ``Audio()`` to have it decoded), and of the JSON the fields that
    every sample has; guessed from the first samples, the recipe's type would fit no other."""
    text = [{"name": n, "dtype": "string"} for n in ("key", "split", "source", "group", "label", "licence", "attribution")]
    augmentation = [{"name": n, "dtype": "float64"} for n in ("pitch_cents", "tempo")]
    branches = [b for b in ("input", "target") if any(f".{b}." in m for m in _members(view))]
    metrics = [{"name": f"{b}_{m}", "dtype": "float64"} for b in branches for m in ("lufs", "peak_dbfs")]
    fields = [
        *text,
        {"name": "sample_rate", "dtype": "int64"},
        {"name": "augmentation", "struct": augmentation},
        *([{"name": "metrics", "struct": metrics}] if metrics else []),
    ]
    return [
        *({"name": m, "dtype": "binary"} for m in _members(view)),
        {"name": "json", "struct": fields},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _readme(view: CorpusView, shards: dict[str, list[dict]], sources: list[dict]) -> str:
    manifest, segment = view.manifest, view.manifest["segment"]
    header = {
        "pretty_name": manifest["name"],
        "task_categories": ["audio-to-audio"],
        "tags": ["audio", "webdataset", "audio effects", "style transfer"],
        "license": "other",
        "license_name": "per-source",
        "size_categories": [_size_category(sum(s["samples"] for listed in shards.values() for s in listed))],
        "dataset_info": {"features": _features(view)},
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": _HUB_SPLITS[s], "path": [f"{x['name']}.tar" for x in listed]} for s, listed in shards.items()
                ],
            }
        ],
    }
    rows = "\n".join(
        f"| {s['name']} | {s['samples']} | {s['hours']:.2f} | {s['licence']} | {s['attribution']} | {s['url']} |" for s in sources
    )
    splits = "\n".join(
        f"| {split} | {len(listed)} | {sum(s['samples'] for s in listed)} | {sum(s['bytes'] for s in listed) / 1e6:.1f} |"
        for split, listed in shards.items()
    )
    seconds = segment["half_frames"] / segment["sample_rate"]
    members = "\n".join(f"* `KEY.{m}`" for m in _members(view))
    return f"""---
{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---
# {manifest["name"]}

Pairs of one recording with two productions, for style transfer of audio effects; preset `{manifest["preset"]}`.
A sample is two adjacent halves, a and b, of {seconds:.2f} s at {segment["sample_rate"]} Hz, {_channels(segment["channels"])},
{manifest["audio_format"]}:

{members}
* `KEY.json`: recipe, settings in physical units, gains, metrics, origin and licence

| split | tars | samples | MB |
|---|---|---|---|
{splits}

No speaker, song or other group and no identical audio is in two splits.

## Sources and licences

The recordings keep their licences; every sample's JSON names its own.

| source | samples | hours | licence | attribution | where |
|---|---|---|---|---|---|
{rows}

## Reading

```python
import io, json, soundfile, webdataset

for sample in webdataset.WebDataset("{next(iter(shards.values()))[0]["name"]}.tar", shardshuffle=False):
    audio, sample_rate = soundfile.read(io.BytesIO(sample["{_members(view)[0]}"]))
    recipe = json.loads(sample["json"])
```

Checked by `stylefx-pipe verify`; made with stylefx.
"""


def _channels(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"


def _size_category(samples: int) -> str:
    for limit, name in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M")):
        if samples < limit:
            return name
    return "n>10M"


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "includes": "cr:includes",
    "recordSet": "cr:recordSet",
    "regex": "cr:regex",
    "source": "cr:source",
    "transform": "cr:transform",
}


def _croissant(view: CorpusView, shards: dict[str, list[dict]], sources: list[dict]) -> dict[str, Any]:
    """Croissant 1.0: every tar is a FileObject with its sha256, the members of all tars a FileSet, and one record per member."""
    tars = [
        {
            "@type": "cr:FileObject",
            "@id": f"{s['name']}.tar",
            "name": f"{s['name'].replace('/', '-')}.tar",
            "contentUrl": f"{s['name']}.tar",
            "contentSize": f"{s['bytes']} B",
            "encodingFormat": "application/x-tar",
            "sha256": s["sha256"],
        }
        for listed in shards.values()
        for s in listed
    ]
    members = []
    for member in [*_members(view), "json"]:
        kind = {"flac": "audio/flac", "wav": "audio/wav", "json": "application/json"}[member.rsplit(".", 1)[-1]]
        members.append(
            {
                "@type": "cr:FileSet",
                "@id": member,
                "name": member,
                "containedIn": [{"@id": t["@id"]} for t in tars],
                "encodingFormat": kind,
                "includes": f"*.{member}",
            }
        )
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"samples/{m['name']}",
            "name": m["name"],
            "dataType": "sc:Text" if m["name"] == "json" else "sc:AudioObject",
            "source": {"fileSet": {"@id": m["@id"]}, "extract": {"fileProperty": "content"}},
        }
        for m in members
    ]
    manifest = view.manifest
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest["name"],
        "description": f"Pairs of recordings for style transfer of audio effects, preset {manifest['preset']}.",
        "license": sorted({s["licence"] for s in sources}),
        "creditText": "; ".join(s["attribution"] for s in sources if s["attribution"]),
        "version": f"{len((view.index or {})['generations'])}.0.0",
        "distribution": tars + members,
        "recordSet": [{"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "field": fields}],
    }
