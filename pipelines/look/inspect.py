"""One sample, looked at: its recipe, settings and metrics as text, its halves as WAV, or a page with players."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import soundfile as sf

from pipelines.corpus.view import CorpusView
from pipelines.look.page import audio, parts, spectrogram
from stylefx.audio.writing import decode_audio, write_audio
from stylefx.corpus.schema import HALVES
from stylefx.errors import UserError
from stylefx.files.atomic import check_free
from stylefx.files.html import Markup
from stylefx.keyed import integer


def choose(
    view: CorpusView, key: str | None, label: str | None, source: str | None, status: str | None, seed: int
) -> dict[str, Any]:
    """The row of the sample with this key, or one drawn (keyed by ``seed``) among those that match."""
    if key is not None:
        return view.find(key)
    wanted = {"label": label, "source": source, "status": status or "ok"}
    wanted = {k: v for k, v in wanted.items() if v is not None}
    matching = (r for r in view.rows(["key", "label", "source", "status"]) if all(r[k] == v for k, v in wanted.items()))
    best = min(matching, key=lambda r: integer(seed, "inspect", r["key"]), default=None)
    if best is None:
        raise UserError(f"no sample of {view.where} has " + " and ".join(f"{k} {v!r}" for k, v in wanted.items()))
    return view.find(best["key"])


def describe(view: CorpusView, row: dict[str, Any]) -> str:
    """The sample in words and numbers, for the terminal."""
    document = view.document(row)
    lines = [f"{row['key']}", f"  shard {row['shard']}  split {row['split']}  source {row['source']}  group {row['group']}"]
    if row.get("label"):
        lines.append(f"  label {row['label']}")
    lines.append(f"  status {row['status']}" + (f": {row['reason']}" if row.get("reason") else ""))
    if document is None:
        return "\n".join(lines)
    lines.append(f"  licence {document['licence']}" + (f"  by {document['attribution']}" if document["attribution"] else ""))
    for part in document["parts"]:
        start = part["start_frame"] / part["sample_rate"]
        lines.append(f"  from {part['recording']}  {start:.2f} s + {part['num_frames'] / part['sample_rate']:.2f} s")
    augmentation = document["augmentation"]
    lines.append(f"  pitch {augmentation['pitch_cents']:+.1f} cents  tempo x {augmentation['tempo']:.3f}")
    for branch in ("clean", "input", "target"):
        if document.get(branch):
            lines.append(f"  {branch}")
            lines += [f"    {_step(step)}" for step in document[branch]]
    if document.get("nothing_to_do"):
        lines.append(f"  nothing to do ({document['nothing_to_do']})")
    for i, reference in enumerate(document.get("references", ())):
        lines.append(f"  reference r{i}: half {reference['half']} of {reference['key']}  group {reference['group']}")
        lines.append(f"    licence {reference['licence']}" + f"  by {reference['attribution']}" * bool(reference["attribution"]))
    if document.get("equivalent"):
        lines.append("  equivalent settings (stored input -> stored target)")
        lines += [f"    {_step({'step': 'effect', **e})}" for e in _effects(document["equivalent"])]
    lines.append("  metrics  " + "  ".join(f"{k} {_number(v)}" for k, v in document["metrics"].items()))
    return "\n".join(lines)


def _effects(equivalent: Any) -> list[dict[str, Any]]:
    return equivalent if isinstance(equivalent, list) else equivalent.get("effects", [])


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _step(step: dict[str, Any]) -> str:
    if step.get("step") == "effect":
        return f"{step['effect']}: " + ", ".join(f"{k} {_number(v)}" for k, v in step["settings"].items())
    rest = {k: v for k, v in step.items() if k != "step"}
    return f"{step['step']} " + ", ".join(f"{k} {_number(v)}" for k, v in rest.items())


def export_wav(view: CorpusView, row: dict[str, Any], folder: Path, overwrite: bool = False) -> list[Path]:
    """Write every half of the sample as a WAV file with the corpus' resolution."""
    folder.mkdir(parents=True, exist_ok=True)
    subtype = {"flac16": "pcm16", "flac24": "pcm24"}.get(stored := view.manifest["audio_format"], stored)
    written = []
    for name in view.audio_members(row):
        wave, rate = decode_audio(view.member(row, name))
        path = folder / f"{row['key']}.{name.rsplit('.', 1)[0]}.wav"
        check_free(path, overwrite)
        write_audio(path, wave, rate, subtype=subtype)
        written.append(path)
    if not written:
        raise UserError(f"{row['key']} is {row['status']} ({row.get('reason')}): it has no audio to write")
    return written


def sample_html(view: CorpusView, row: dict[str, Any], heading: bool = True) -> Markup:
    """Players and spectrograms of all halves side by side, loudness stated, settings to unfold; ``heading``: name the sample."""
    document, name = view.document(row), row["key"] if heading else ""
    if document is None:
        return parts().sample(name, "", "", [], 1, "", f"{row['status']}: {row.get('reason')}")
    facts = [row["source"], row["group"], row["split"]] + ([row["label"]] if row.get("label") else [])
    members = sorted(view.audio_members(row), key=_place)
    cells = [_cell(view, row, member, document["metrics"]) for member in members]
    recipe = json.dumps({k: document[k] for k in ("augmentation", "input", "target") if k in document}, indent=1)
    recordings = ", ".join(p["recording"] for p in document["parts"])
    branches = max(1, sum(member.startswith("a.") for member in members))
    return parts().sample(name, " · ".join(facts), recordings, cells, branches, recipe, "")


def _place(member: str) -> tuple[str, int, str]:
    """Row by row the halves, and in each the branches from dry to target."""
    half, branch, _ = member.split(".")
    return half, ("dry", "clean", "input", "target").index(branch) if branch in ("dry", "clean", "input", "target") else 9, branch


def _cell(view: CorpusView, row: dict[str, Any], member: str, metrics: dict[str, Any]) -> dict[str, Any]:
    half, branch, kind = member.split(".")
    data = view.member(row, member)
    wave, rate = sf.read(io.BytesIO(data), dtype="float32", always_2d=True)
    lufs = metrics.get(f"{branch}_lufs" if half in HALVES else f"{half}_lufs")
    title = f"{branch} {half}"
    loudness = f"{lufs:.1f} LUFS" if lufs is not None else "silent"
    return {
        "picture": spectrogram(wave.mean(1), rate),
        "player": audio(data, kind, f"{title} of {row['key']}"),
        "caption": f"{title}, {loudness}{' (both halves)' * (half in HALVES)}",
    }
