"""Cards and views of a finished corpus that other tools read, written when it is finalised.

ATTRIBUTION.md    every recording that is in it, by licence, with who made it
README.md         what is in it, with a YAML header for Hugging Face `datasets`
croissant.json    MLCommons Croissant 1.1 metadata
wids-SPLIT.json   index of a split for `wids` / `webdataset.ShardListDataset`
sizes.json        samples per tar, for tools of the webdataset family
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from pipelines.corpus.attribution import attribution
from pipelines.corpus.croissant import _croissant
from pipelines.corpus.readme import _HUB_SPLITS, _readme
from pipelines.corpus.view import CorpusView
from stylefx.corpus.schema import STATUS_OK


def card_files(view: CorpusView) -> dict[str, bytes]:
    """File name -> bytes; a pure function of the committed corpus, so that writing it twice gives the same bytes."""
    shards = _by_split(view)
    sources = _sources(view)
    files = {"README.md": _readme(view, shards, sources).encode()}
    files["ATTRIBUTION.md"] = attribution(view).encode()
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
