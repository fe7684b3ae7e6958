"""README.md of a corpus, with a header for Hugging Face datasets."""

from __future__ import annotations

from typing import Any

import yaml

from pipelines.corpus.view import CorpusView
from stylefx.corpus.schema import AUDIO_FORMATS, BRANCHES, HALVES
from stylefx.recipes.references import References

#: how Hugging Face names the splits
_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def _members(view: CorpusView) -> list[str]:
    kept = {"pair": BRANCHES[:2], "dry": BRANCHES[2:], "both": BRANCHES}[view.manifest["store"]]
    extension = AUDIO_FORMATS[view.manifest["audio_format"]][0]
    own = [f"{half}.{branch}.{extension}" for branch in kept for half in HALVES]
    lent = [f"{name}.{branch}.{extension}" for name in _reference_names(view) for branch in kept if branch != "input"]
    return own + lent


def _reference_names(view: CorpusView) -> list[str]:
    return [f"r{i}" for i in range(References.model_validate(view.manifest.get("reference", {})).stored)]


def _features(view: CorpusView) -> list[dict[str, Any]]:
    """Columns for `datasets`: audio, which viewers play, and of the JSON the fields that every sample has; guessed from the first
    samples, the recipe's type would fit no other."""
    audio = {"audio": {"sampling_rate": view.manifest["segment"]["sample_rate"]}}
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
        *({"name": m, "dtype": audio} for m in _members(view)),
        {"name": "json", "struct": fields},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _readme(view: CorpusView, shards: dict[str, list[dict[str, Any]]], sources: list[dict[str, Any]]) -> str:
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
{_of_references(view)}* `KEY.json`: recipe, settings in physical units, gains, metrics, origin and licence

| split | tars | samples | MB |
|---|---|---|---|
{splits}

{_floors(view)}No speaker, song or other group and no identical audio is in two splits.

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


def _floors(view: CorpusView) -> str:
    """What the audio format hides, by split."""
    floors = (view.index or {}).get("floors", {})
    if not floors:
        return ""
    rows = "\n".join(
        f"| {split} | {f['floor']:.4f} | " + (f"{f['distance']:.3f} |" if f["distance"] is not None else "- |")
        for split, f in floors.items()
    )
    name = view.manifest["audio_format"]
    return (
        f"What {name} hides: MR-STFT between the render in float and what is stored, beside the distance "
        f"of input and target.\n\n| split | floor | input |\n|---|---|---|\n{rows}\n\n"
    )


def _of_references(view: CorpusView) -> str:
    """A sentence on members that only some corpora have."""
    rule = References.model_validate(view.manifest.get("reference", {}))
    if not rule.stored:
        return ""
    share = "every sample" if rule.other_share == 1.0 else f"{100 * rule.other_share:.0f} % of the samples"
    return (
        f"\n`r0` ... are style references: in {share} another group's recording with the target's settings, else the target's "
        "own half b. Their origin, licence and attribution stand in the JSON under `references`.\n\n"
    )


def _channels(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"


def _size_category(samples: int) -> str:
    for limit, name in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M")):
        if samples < limit:
            return name
    return "n>10M"
