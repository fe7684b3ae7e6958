"""One sample, looked at: its recipe, settings and metrics as text, its halves as WAV, or a page with players."""

from __future__ import annotations

import io
import json
from html import escape
from pathlib import Path
from typing import Any

import soundfile as sf

from pipelines.corpus_view import CorpusView
from pipelines.page import audio, spectrogram
from stylefx.audio.writing import decode_audio, write_audio
from stylefx.errors import UserError
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
    if document.get("equivalent"):
        lines.append("  equivalent settings (stored input -> stored target)")
        lines += [f"    {_step({'step': 'effect', **e})}" for e in _effects(document["equivalent"])]
    lines.append("  metrics  " + "  ".join(f"{k} {_number(v)}" for k, v in document["metrics"].items()))
    return "\n".join(lines)


def _effects(equivalent: Any) -> list[dict]:
    return equivalent if isinstance(equivalent, list) else equivalent.get("effects", [])


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _step(step: dict[str, Any]) -> str:
    if step.get("step") == "effect":
        return f"{step['effect']}: " + ", ".join(f"{k} {_number(v)}" for k, v in step["settings"].items())
    rest = {k: v for k, v in step.items() if k != "step"}
    return f"{step['step']} " + ", ".join(f"{k} {_number(v)}" for k, v in rest.items())


def export_wav(view: CorpusView, row: dict[str, Any], folder: Path) -> list[Path]:
    """Write every half of the sample as a WAV file with the corpus' resolution."""
    folder.mkdir(parents=True, exist_ok=True)
    subtype = {"flac16": "pcm16", "flac24": "pcm24"}.get(stored := view.manifest["audio_format"], stored)
    written = []
    for name in view.audio_members(row):
        wave, rate = decode_audio(view.member(row, name))
        path = folder / f"{row['key']}.{name.rsplit('.', 1)[0]}.wav"
        write_audio(path, wave, rate, subtype=subtype)
        written.append(path)
    if not written:
        raise UserError(f"{row['key']} is {row['status']} ({row.get('reason')}): it has no audio to write")
    return written


def sample_html(view: CorpusView, row: dict[str, Any]) -> str:
    """Players and spectrograms of all halves, loudness stated, settings to unfold."""
    document = view.document(row)
    head = f"<h3>{escape(row['key'])}</h3>"
    if document is None:
        return f'<div class="sample">{head}<p>{escape(row["status"])}: {escape(str(row.get("reason")))}</p></div>'
    facts = [row["source"], row["group"], row["split"]] + ([row["label"]] if row.get("label") else [])
    metrics = document["metrics"]
    cells = []
    for name in view.audio_members(row):
        half, branch, kind = name.split(".")
        data = view.member(row, name)
        wave, rate = sf.read(io.BytesIO(data), dtype="float32", always_2d=True)
        lufs = metrics.get(f"{branch}_lufs")
        title = f"{branch} {half}"
        spoken = f"{title} of {row['key']}"
        loudness = f"{lufs:.1f} LUFS" if lufs is not None else "silent"
        cells.append(
            f"<div>{spectrogram(wave.mean(1), rate)}{audio(data, kind, spoken)}"
            f"<small>{escape(title)}, {loudness} (both halves)</small></div>"
        )
    parts = ", ".join(p["recording"] for p in document["parts"])
    recipe = escape(json.dumps({k: document[k] for k in ("augmentation", "input", "target") if k in document}, indent=1))
    return (
        f'<div class="sample">{head}<p><small>{escape(" · ".join(facts))}<br>{escape(parts)}</small></p>'
        f'<div class="halves">{"".join(cells)}</div>'
        f"<details><summary>Recipe and settings</summary><pre>{recipe}</pre></details></div>"
    )
