"""ATTRIBUTION.md: what a licence asks for when a corpus is passed on, recording by recording."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pipelines.corpus.view import CorpusView
from stylefx.corpus.schema import STATUS_OK


def attribution(view: CorpusView) -> str:
    """The text: a section per licence, in it who made what; a pure function of the committed corpus."""
    found: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in _used(view):
        found[row["licence"] or "unknown"][row["source"], row["attribution"] or ""].update(_recordings(row))
    where = {s["name"]: s.get("url") or "" for s in view.manifest["sources"]}
    lines = [
        f"# Attribution of {view.manifest['name']}",
        "",
        "Every recording of which a sample or a reference is made, by the licence under which it was published. "
        "Samples are excerpts, with effects applied.",
    ]
    for licence in sorted(found):
        lines += ["", f"## {licence}"]
        for (source, author), names in sorted(found[licence].items()):
            by = f", by {author}" if author else ""
            at = f" ({where[source]})" if where.get(source) else ""
            lines += ["", f"{source}{by}{at}:", "", *(f"* {name}" for name in sorted(names))]
    return "\n".join(lines) + "\n"


def _used(view: CorpusView) -> list[dict[str, Any]]:
    """The planned samples that were written, and their references."""
    written = {row["key"] for row in view.rows(["key", "status"]) if row["status"] == STATUS_OK}
    out: list[dict[str, Any]] = []
    for row in view.plan().to_pylist():
        if row["key"] in written:
            out += [row, *(row.get("references") or ())]
    return out


def _recordings(row: dict[str, Any]) -> list[str]:
    targets = [t for t in row.get("targets") or () if t]
    return [*(part["path"] for part in row["parts"]), *targets]
