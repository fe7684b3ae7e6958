"""P1: paired synthetic transfer. The target is known, so every metric is a distance to the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.evaluation.harm import harm_in_share, nothing_to_do, way_gone
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.audio import METRICS, Features, compare
from stylefx.evaluation.metrics.pesq import pesq_wideband, require_pesq
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import Summary, summarise, summarise_ratio
from stylefx.evaluation.systems.base import SystemOutput
from stylefx.figures.style import drawing, palette

_WHOLE_TABLES = 4  # so many labels get a table with every metric
HEADINGS = {
    "mr_stft": "MR-STFT", "msd": "MSD", "sce_hz": "SCE Hz", "rms_db": "RMS dB", "lufs": "LUFS", "crest_db": "crest dB",
    "pesq": "PESQ",
}  # fmt: skip


def run(job: EvaluationJob) -> Report:
    """Measure every system on every pair."""
    if job.pesq:
        require_pesq()
    metrics = (*METRICS, "pesq") if job.pesq else METRICS
    items = []
    solved = job.oracle_keys(job.refs)
    for pairs in job.batches():
        per_pair = zip(pairs, job.outcomes(pairs, solved), strict=True)
        items += job.map(lambda one: _measure(*one, pesq=job.pesq), per_pair)
    titles = {s.name: s.title for s in job.systems}
    results: dict[str, Any] = {"systems": aggregate(items, list(titles), metrics, job.seed)}
    results["nothing_to_do"] = idle = moved_where_nothing_was_to_do(items, list(titles), job.seed)
    tables = [_table(results["systems"], titles, metrics), *_idle_table(idle, titles)]
    for what in ("label", "source"):
        parts = {v: [i for i in items if i[what] == v] for v in sorted({i[what] for i in items})}
        if len(parts) < 2:
            continue
        results[f"{what}s"] = found = {v: aggregate(part, list(titles), metrics, job.seed) for v, part in parts.items()}
        if what == "label" and len(parts) <= _WHOLE_TABLES:
            tables += [_table(f, titles, metrics, f"Distance to the target: {v or 'no label'}") for v, f in found.items()]
        else:
            tables.append(_share_table(what, found, titles))
    results["items"] = items
    return Report(
        protocol="p1",
        title="Paired synthetic transfer",
        question="One half of each held-out sample is processed with the other half of its target as the reference; the result "
        "is measured against the true target of the processed half, levels included. Means with bootstrap 95 % intervals. Harm: "
        "share of the items whose MR-STFT distance grew by more than 2 %.",
        setup=job.describe(),
        results=results,
        tables=tables,
        draw=lambda path: _draw(path, items, titles),
    )


def _measure(pair: Pair, outcomes: dict[str, SystemOutput], pesq: bool) -> dict[str, Any]:
    """One item: metrics of every system, and the settings where there are any."""
    target = Features.of(pair.target, pair.sample_rate)
    values, settings = {}, {}
    for name, outcome in outcomes.items():
        if np.isfinite(outcome.output).all():
            values[name] = compare(Features.of(outcome.output, pair.sample_rate), target)
        else:
            values[name] = dict.fromkeys(METRICS, math.nan)
        if pesq:
            values[name]["pesq"] = pesq_wideband(outcome.output, pair.target, pair.sample_rate)
        if outcome.settings is not None:
            settings[name] = outcome.settings
    return {
        "key": pair.key,
        "source": pair.source,
        "label": pair.label,
        "group": pair.group,
        "half": pair.half,
        "metrics": values,
        "settings": settings,
    }


def aggregate(items: Sequence[dict[str, Any]], systems: Sequence[str], metrics: Sequence[str], seed: int) -> dict[str, Any]:
    """Summaries per system and metric over the items that it worked on, the share of the input's MR-STFT distance that is left
    (ratio of means), the harm rate and the share of the way to the oracle (both without the items that need nothing)."""
    idle = {item["key"] for item, nothing in zip(items, _idle(items), strict=True) if nothing}
    out = {}
    for name in systems:
        mine = [item for item in items if name in item["metrics"]]
        groups, before = [item["group"] for item in mine], _mr_stft(mine, "input")
        columns = {m: [item["metrics"][name][m] for item in mine] for m in metrics}
        out[name] = {m: summarise(values, groups, seed) for m, values in columns.items()}
        out[name]["share_left"] = summarise_ratio(columns["mr_stft"], before, groups, seed)
        todo = [item for item in mine if item["key"] not in idle]
        out[name]["harm"] = harm_in_share(_mr_stft(todo, "input"), _mr_stft(todo, name), [i["group"] for i in todo], seed)
        solved = [item for item in todo if "oracle" in item["metrics"]]
        was, now, best = (_mr_stft(solved, system) for system in ("input", name, "oracle"))
        out[name]["way"] = way_gone(was, now, best, [i["group"] for i in solved], seed)
    return out


def _mr_stft(items: Sequence[dict[str, Any]], system: str) -> list[float]:
    return [item["metrics"][system]["mr_stft"] for item in items]


def _idle(items: Sequence[dict[str, Any]]) -> np.ndarray:
    return nothing_to_do(_mr_stft(items, "input"))


def moved_where_nothing_was_to_do(items: Sequence[dict[str, Any]], systems: Sequence[str], seed: int) -> dict[str, Summary]:
    """MR-STFT distance to the target, which is the input there, per system; empty without such items."""
    idle = [item for item, nothing in zip(items, _idle(items), strict=True) if nothing]
    out = {}
    for name in systems if idle else ():
        mine = [item for item in idle if name in item["metrics"]]
        out[name] = summarise(_mr_stft(mine, name), [item["group"] for item in mine], seed)
    return out


def _idle_table(found: dict[str, Summary], titles: dict[str, str]) -> list[Table]:
    """Nothing, or one table."""
    if not found:
        return []
    rows = [[titles[name], summary.text()] for name, summary in found.items()]
    count = found["input"].count
    return [Table(f"Where nothing was to do ({count} items): how far they were moved", ["system", "MR-STFT"], rows)]


def _table(
    systems: dict[str, Any], titles: dict[str, str], metrics: Sequence[str], title: str = "Distance to the target"
) -> Table:
    """With every interval; the terminal has room for that of the share only."""
    more = {"harm": "harm", **({"way": "way to the oracle"} if systems["input"]["way"].count else {})}

    def rows(interval: bool) -> list[list[str]]:
        return [
            [titles[name], values["share_left"].text(), *(values[m].text(interval=interval) for m in (*more, *metrics))]
            for name, values in systems.items()
        ]

    return Table(
        title=f"{title} ({systems['input']['mr_stft'].count} items)",
        columns=["system", "share of the input's MR-STFT distance left", *more.values(), *(HEADINGS[m] for m in metrics)],
        rows=rows(interval=True),
        note="Lower is better" + (", but for PESQ." if "pesq" in metrics else "."),
        brief=rows(interval=False),
    )


def _share_table(what: str, parts: dict[str, dict[str, Any]], titles: dict[str, str]) -> Table:
    """Speech and music are not alike: the share left per source or label, with the number of items."""
    columns = ["system", *(f"{v or '-'} ({found['input']['mr_stft'].count})" for v, found in parts.items())]
    rows = [[title, *(found[name]["share_left"].text() for found in parts.values())] for name, title in titles.items()]
    return Table(f"Share of the input's MR-STFT distance left, by {what} (items)", columns, rows)


def _draw(path: Path, items: Sequence[dict[str, Any]], titles: dict[str, str]) -> None:
    """Left: the items' MR-STFT distance before and after, one dot an item; right: sorted distances per system."""
    names = list(titles)
    distance = {n: np.array([i["metrics"].get(n, {}).get("mr_stft", np.nan) for i in items]) for n in names}
    colours = palette(names)
    with drawing(path, 12, 5) as figure:
        left, right = figure.subplots(1, 2)
        top = 1.05 * np.nanmax([np.nanmax(d) for d in distance.values()])
        for name in [n for n in names if n != "input"]:
            left.scatter(distance["input"], distance[name], s=14, alpha=0.6, color=colours[name], label=titles[name], linewidth=0)
        left.plot([0, top], [0, top], ":", color="#9aa0a8")
        left.text(top * 0.98, top * 0.99, "no change", ha="right", va="bottom", fontsize=9, color="#555b63")
        left.set(xlim=(0, top), ylim=(0, top), xlabel="MR-STFT distance of the input", ylabel="MR-STFT distance of the output")
        left.set_title("Each item, before and after")
        left.legend(loc="upper left", markerscale=2)
        for name, values in distance.items():
            values = np.sort(values[np.isfinite(values)])
            share = 100 * (np.arange(len(values)) + 1) / max(1, len(values))
            right.step(values, share, where="post", color=colours[name], label=titles[name])
        right.set(xlim=(0, top), ylim=(0, 101), xlabel="MR-STFT distance to the target", ylabel="Items at most so far (%)")
        right.set_title("Distribution over the items")
        right.legend(loc="lower right")
