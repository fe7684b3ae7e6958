"""What is not in a corpus and why: the part of the report that says so."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from pipelines.corpus.view import CorpusView
from pipelines.look.page import joined, parts, table
from stylefx.files.html import Markup

_MOST_LINES = 200


def rejects(view: CorpusView, rows: list[dict[str, Any]], counts: Counter[str]) -> Markup:
    """The part of the page: samples that were planned and not written, recordings that never were planned, and why."""
    bad = [r for r in rows if r["status"] != "ok"]
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in bad:
        reasons[row["status"], row["reason"] or "no reason given"].append(row["key"])
    lines = [(status, reason, len(keys), ", ".join(sorted(keys)[:3])) for (status, reason), keys in reasons.items()]
    lines.sort(key=lambda x: -x[2])
    text = ", ".join(f"{counts.get(s, 0):,} {s}" for s in ("ok", "filtered", "failed", "quarantined"))
    catalog = _catalog_rejects(view)
    planned = [(reason, count, ", ".join(names)) for reason, (count, names) in view.rejected().items() if count]
    planned.sort(key=lambda x: -x[1])
    return joined(
        parts().paragraph(f"Planned samples: {text}."),
        table(["outcome", "reason", "samples", "examples"], lines, "Every planned sample was written."),
        parts().heading("Left out when planning"),
        table(["reason", "recordings, clips or segments", "examples"], planned, "Nothing was left out."),
        parts().heading("Recordings that could not be read"),
        table(["reason", "recordings", "examples"], catalog, "Every recording could be read."),
        *_odd(view),
    )


def _odd(view: CorpusView) -> list[Markup]:
    """Recordings that are damaged and used as far as they go, and those that hold the audio of another."""
    wanted = ["source", "path", "damage", "near"]
    found = view.catalog(wanted)
    if not {"damage", "near"} <= set(found.column_names):
        return []
    rows = found.to_pylist()
    damaged = [[f"{r['source']}/{r['path']}", r["damage"]] for r in rows if r["damage"]]
    clusters: dict[str, list[str]] = defaultdict(list)
    for r in rows:
        if r["near"]:
            clusters[r["near"]].append(f"{r['source']}/{r['path']}")
    largest = sorted(clusters.values(), key=lambda names: -len(names))
    same = [[len(names), ", ".join(sorted(names)[:5])] for names in largest]
    return [
        parts().heading("Recordings that are damaged and used as far as they go"),
        table(["recording", "damage"], damaged[:_MOST_LINES], "No recording is damaged."),
        parts().heading("Recordings that hold the same audio"),
        table(["recordings", "such as"], same[:_MOST_LINES], "No recording holds the audio of another, or nobody looked."),
    ]


def _catalog_rejects(view: CorpusView) -> list[list[Any]]:
    reasons: dict[str, list[str]] = defaultdict(list)
    table_ = view.catalog(["source", "path", "error"])
    for source, path, error in zip(*(table_[c].to_pylist() for c in ("source", "path", "error")), strict=True):
        if error:
            reasons[str(error)].append(f"{source}/{path}")
    return sorted(([r, len(n), ", ".join(sorted(n)[:3])] for r, n in reasons.items()), key=lambda x: -x[1])
