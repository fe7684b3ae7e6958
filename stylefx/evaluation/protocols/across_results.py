"""P9's numbers: by kind, intent, style and source, with harm rates and the share of the way to the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stylefx.evaluation.harm import harm_in_db, harm_in_share, nothing_to_do, way_gone
from stylefx.evaluation.metrics.character import CHARACTER
from stylefx.evaluation.report import Table
from stylefx.evaluation.summary import Summary, summarise, summarise_ratio

if TYPE_CHECKING:
    import numpy as np

HEADINGS = {"octave_db": "third octaves dB", "crest_db": "crest dB", "spread_db": "spread dB", "mr_stft": "MR-STFT"}
_STYLE_COLUMNS = {
    "octave_db": "third octaves dB", "octave_share": "of the input's", "mr_stft_share": "MR-STFT of the input's",
    "crest_db": "crest dB", "spread_db": "spread dB", "harm_db": "harm, third octaves", "harm_mr_stft": "harm, MR-STFT",
    "way": "way to the oracle",
}  # fmt: skip
_BALANCE_COLUMNS = {
    "octave_db": "third octaves dB", "octave_share": "of the input's", "crest_db": "crest dB", "spread_db": "spread dB",
}  # fmt: skip


def by_part(items: Sequence[dict[str, Any]], what: str) -> dict[str, list[dict[str, Any]]]:
    """The items by source, label or style, names sorted."""
    return {v: [i for i in items if i[what] == v] for v in sorted({i[what] for i in items})}


def summarise_kind(items: Sequence[dict[str, Any]], systems: Sequence[str], seed: int) -> dict[str, Any]:
    """{"items", "nothing_to_do", "systems": {name: {"style", "balance", "nothing"}}, "styles": ..., "sources": ...}."""
    idle = idle_items(items)
    todo = [item for item, nothing in zip(items, idle, strict=True) if not nothing]
    done = [item for item, nothing in zip(items, idle, strict=True) if nothing]
    found = {
        name: {
            "style": style_summary(todo, name, seed),
            "balance": balance_summary(items, name, seed),
            "nothing": moved_summary(done, name, seed),
        }
        for name in systems
    }
    parts = {}
    for what in ("style", "source"):
        parts[f"{what}s"] = {
            value: {name: style_summary(part, name, seed) for name in systems} for value, part in by_part(todo, what).items()
        }
    return {"items": len(items), "nothing_to_do": len(done), "systems": found, **parts}


def idle_items(items: Sequence[dict[str, Any]]) -> np.ndarray:
    """Those whose input is as good as the truth, bool (items,)."""
    before = [item["metrics"]["input"]["truth"] for item in items]
    return nothing_to_do([b["mr_stft"] for b in before], [b["octave_db"] for b in before])


def _column(items: Sequence[dict[str, Any]], system: str, to: str, metric: str) -> list[float]:
    return [item["metrics"][system][to][metric] for item in items]


def style_summary(items: Sequence[dict[str, Any]], system: str, seed: int) -> dict[str, Summary]:
    """Distance to the truth, harm and way, over the items that the system worked on."""
    items = [item for item in items if system in item["metrics"]]
    groups = [item["group"] for item in items]
    before = {m: _column(items, "input", "truth", m) for m in HEADINGS}
    after = {m: _column(items, system, "truth", m) for m in HEADINGS}
    out = {m: summarise(after[m], groups, seed) for m in HEADINGS}
    out["octave_share"] = summarise_ratio(after["octave_db"], before["octave_db"], groups, seed)
    out["mr_stft_share"] = summarise_ratio(after["mr_stft"], before["mr_stft"], groups, seed)
    out["harm_db"] = harm_in_db(before["octave_db"], after["octave_db"], groups, seed)
    out["harm_mr_stft"] = harm_in_share(before["mr_stft"], after["mr_stft"], groups, seed)
    solved = [i for i, item in enumerate(items) if "oracle" in item["metrics"]]
    oracle = _column([items[i] for i in solved], "oracle", "truth", "mr_stft")
    was, now = ([values[i] for i in solved] for values in (before["mr_stft"], after["mr_stft"]))
    out["way"] = way_gone(was, now, oracle, [groups[i] for i in solved], seed)
    return out


def balance_summary(items: Sequence[dict[str, Any]], system: str, seed: int) -> dict[str, Summary]:
    """Distance to the reference, over all items that the system worked on."""
    items = [item for item in items if system in item["metrics"]]
    groups = [item["group"] for item in items]
    out = {m: summarise(_column(items, system, "reference", m), groups, seed) for m in CHARACTER}
    before, after = (_column(items, name, "reference", "octave_db") for name in ("input", system))
    return out | {"octave_share": summarise_ratio(after, before, groups, seed)}


def moved_summary(items: Sequence[dict[str, Any]], system: str, seed: int) -> dict[str, Summary]:
    """How far from the input the output is, where nothing was to do."""
    items = [item for item in items if system in item["metrics"]]
    return {m: summarise(_column(items, system, "moved", m), [i["group"] for i in items], seed) for m in HEADINGS}


def tables(results: dict[str, Any], kinds: dict[str, list[dict[str, Any]]], titles: dict[str, str], seed: int) -> list[Table]:
    """Per kind: style, balance, nothing to do, by style, by source."""
    out = []
    for kind, found in results.items():
        systems, count, idle = found["systems"], found["items"], found["nothing_to_do"]
        name = kind or "all"
        way = any(values["style"]["way"].count for values in systems.values())
        style = {key: text for key, text in _STYLE_COLUMNS.items() if way or key != "way"}
        out.append(_table(f"Style, {name}: distance to the truth ({count - idle} items)", systems, "style", style, titles))
        out.append(
            _table(f"Balance, {name}: distance to the reference ({count} items)", systems, "balance", _BALANCE_COLUMNS, titles)
        )
        if idle:
            title = f"Nothing to do, {name}: moved away from the input ({idle} items)"
            out.append(_table(title, systems, "nothing", HEADINGS, titles))
        out.append(_parts(f"{name}, by style", found["styles"], titles))
        if len(found["sources"]) > 1:
            out.append(_parts(f"{name}, by source", found["sources"], titles))
    return out


def _table(title: str, systems: dict[str, Any], part: str, columns: dict[str, str], titles: dict[str, str]) -> Table:
    def rows(interval: bool) -> list[list[str]]:
        return [
            [titles[name], *(values[part][key].text(interval=interval) for key in columns)] for name, values in systems.items()
        ]

    return Table(title, ["system", *columns.values()], rows(True), brief=rows(False))


def _parts(title: str, parts: dict[str, dict[str, Any]], titles: dict[str, str]) -> Table:
    """Share of the input's third-octave distance left, and harm, per style or source."""
    count = {value: found["input"]["octave_db"].count for value, found in parts.items()}
    columns = ["system", *(f"{value or '-'} ({count[value]})" for value in parts)]
    rows = []
    for name, text in titles.items():
        cells = [found[name] for found in parts.values()]
        rows.append([text, *(f"{c['octave_share'].text(2, False)}, {_percent(c['harm_db'])}" for c in cells)])
    note = "Share of the input's third-octave distance to the truth left, and harm rate."
    return Table(f"Style, {title} (items)", columns, rows, note)


def _percent(share: Summary) -> str:
    return f"{100 * share.mean:.0f} %" if share.count else "-"
