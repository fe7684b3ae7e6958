"""What differs between two corpora that should be the same: manifest, plan, environment, bytes, in this order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pipelines.corpus.view import CorpusView

_SHOWN = 10


@dataclass
class Differences:
    """``lines`` say what differs; ``explained`` is the first level that differs, which explains those after it."""

    lines: list[str] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        return not self.levels

    def level(self, name: str, found: list[str], what: str) -> None:
        if found:
            self.levels.append(name)
            self.lines.append(f"{name}: {len(found)} difference{'s' if len(found) != 1 else ''}")
            self.lines += [f"  {line}" for line in found[:_SHOWN]]
            if len(found) > _SHOWN:
                self.lines.append(f"  ... and {len(found) - _SHOWN} more")
        else:
            self.same.append(f"{name}: same ({what})")

    def text(self) -> str:
        head = "the two corpora are identical" if self.identical else f"the first difference is in the {self.levels[0]}"
        return "\n".join([*self.same, *self.lines, head])


def fields(a: Any, b: Any, path: str = "") -> list[str]:
    """Field-by-field differences of two documents."""
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for key in sorted(set(a) | set(b)):
            where = f"{path}.{key}" if path else str(key)
            if key not in a or key not in b:
                out.append(f"{where}: only in {'B' if key not in a else 'A'}: {(b if key not in a else a)[key]!r}")
            else:
                out += fields(a[key], b[key], where)
        return out
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [line for i, (x, y) in enumerate(zip(a, b, strict=True)) for line in fields(x, y, f"{path}.{i}")]
    return [] if a == b else [f"{path}: {a!r} -> {b!r}"]


def compare(a: CorpusView, b: CorpusView) -> Differences:
    """A is the first corpus, B the second; neither needs to be finished."""
    out = Differences()
    manifest_a, manifest_b = dict(a.manifest), dict(b.manifest)
    for manifest in (manifest_a, manifest_b):
        manifest.pop("output", None)  # where it lies is no part of what it is
    out.level("manifest", fields(manifest_a, manifest_b), "field by field, without the output folder")
    out.level("plan", _plans(a, b), "keys, order, shards and recipes' placement")
    side_a = {name: a.sidecar(name) for name in a.sidecars}
    side_b = {name: b.sidecar(name) for name in b.sidecars}
    out.level("environment", _environments(side_a, side_b), "package versions and CPU features of every shard")
    out.level("bytes", _bytes(a, b, side_a, side_b), f"sha256 of {len(side_a)} shards")
    return out


def _plans(a: CorpusView, b: CorpusView) -> list[str]:
    columns = ["key", "group", "pitch_cents", "tempo", "read_frames", "parts"]
    rows_a = {r["key"]: r for r in a.plan(columns).to_pylist()}
    rows_b = {r["key"]: r for r in b.plan(columns).to_pylist()}
    out = [f"only in A: {k}" for k in rows_a if k not in rows_b] + [f"only in B: {k}" for k in rows_b if k not in rows_a]
    for key in rows_a.keys() & rows_b.keys():
        out += [f"{key} {line}" for line in fields(rows_a[key], rows_b[key])]
    if not out and list(rows_a) != list(rows_b):
        out.append("the same samples in another order")
    return sorted(out)


def _environments(a: dict[str, dict[str, Any]], b: dict[str, dict[str, Any]]) -> list[str]:
    out: Counter[str] = Counter()
    for name in sorted(a.keys() & b.keys()):
        out.update(fields(a[name].get("environment"), b[name].get("environment")))
    return [f"{line}  ({count} shards)" for line, count in sorted(out.items())]


def _bytes(a: CorpusView, b: CorpusView, side_a: dict[str, dict[str, Any]], side_b: dict[str, dict[str, Any]]) -> list[str]:
    out = [f"only in A: {name}" for name in side_a if name not in side_b]
    out += [f"only in B: {name}" for name in side_b if name not in side_a]
    for name in sorted(side_a.keys() & side_b.keys()):
        if side_a[name]["sha256"] == side_b[name]["sha256"]:
            continue
        rows_a = {r["key"]: r for r in a.shard_rows(name)}
        rows_b = {r["key"]: r for r in b.shard_rows(name)}
        changed = [k for k in rows_a if k not in rows_b or not _same_sample(a, b, rows_a[k], rows_b[k])]
        changed += [k for k in rows_b if k not in rows_a]
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        out.append(f"{name}: {len(changed)} of {len(rows_a)} samples differ: {shown}" if changed else f"{name}: the tar differs")
    return out


def _same_sample(a: CorpusView, b: CorpusView, row_a: dict[str, Any], row_b: dict[str, Any]) -> bool:
    if row_a["status"] != row_b["status"] or a.audio_members(row_a) != b.audio_members(row_b):
        return False
    names = [*a.audio_members(row_a), *(["json"] if row_a["status"] == "ok" else [])]
    return all(a.member(row_a, name) == b.member(row_b, name) for name in names)
