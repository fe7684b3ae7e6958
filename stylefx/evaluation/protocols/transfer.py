"""P1: paired synthetic transfer. The target is known, so every metric is a distance to the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylefx.evaluation.figure import drawing, palette
from stylefx.evaluation.job import Job
from stylefx.evaluation.metrics import METRICS, Features, compare
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.pesq import pesq_wideband, require_pesq
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import summarise, summarise_ratio
from stylefx.evaluation.systems import Outcome

_WHOLE_TABLES = 4  # so many labels get a table with every metric
HEADINGS = {
    "mr_stft": "MR-STFT", "msd": "MSD", "sce_hz": "SCE Hz", "rms_db": "RMS dB", "lufs": "LUFS", "crest_db": "crest dB",
    "pesq": "PESQ",
}  # fmt: skip


def run(job: Job) -> Report:
    """Measure every system on every pair."""
    if job.pesq:
        require_pesq()
    metrics = (*METRICS, "pesq") if job.pesq else METRICS
    items = []
    for pairs in job.batches():
        outcomes = {system.name: system(pairs) for system in job.systems}
        per_pair = [(pair, {name: done[i] for name, done in outcomes.items()}) for i, pair in enumerate(pairs)]
        items += job.map(lambda one: _measure(*one, pesq=job.pesq), per_pair)
    titles = {s.name: s.title for s in job.systems}
    results = {"systems": aggregate(items, list(titles), metrics, job.seed)}
    tables = [_table(results["systems"], titles, metrics)]
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
        "is measured against the true target of the processed half, levels included. Means with bootstrap 95 % intervals.",
        setup=job.describe(),
        results=results,
        tables=tables,
        draw=lambda path: _draw(path, items, titles),
    )


def _measure(pair: Pair, outcomes: dict[str, Outcome], pesq: bool) -> dict:
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


def aggregate(items: Sequence[dict], systems: Sequence[str], metrics: Sequence[str], seed: int) -> dict:
    """Summaries per system and metric, and the share of the input's MR-STFT distance that is left (ratio of means)."""
    groups = [item["group"] for item in items]
    before = [item["metrics"]["input"]["mr_stft"] for item in items]
    out = {}
    for name in systems:
        columns = {m: [item["metrics"][name][m] for item in items] for m in metrics}
        out[name] = {m: summarise(values, groups, seed) for m, values in columns.items()}
        out[name]["share_left"] = summarise_ratio(columns["mr_stft"], before, groups, seed)
    return out


def _table(systems: dict, titles: dict[str, str], metrics: Sequence[str], title: str = "Distance to the target") -> Table:
    """With every interval; the terminal has room for that of the share only."""

    def rows(interval: bool) -> list[list[str]]:
        return [
            [titles[name], values["share_left"].text(), *(values[m].text(interval=interval) for m in metrics)]
            for name, values in systems.items()
        ]

    return Table(
        title=f"{title} ({systems['input']['mr_stft'].count} items)",
        columns=["system", "share of the input's MR-STFT distance left", *(HEADINGS[m] for m in metrics)],
        rows=rows(interval=True),
        note="Lower is better" + (", but for PESQ." if "pesq" in metrics else "."),
        brief=rows(interval=False),
    )


def _share_table(what: str, parts: dict[str, dict], titles: dict[str, str]) -> Table:
    """Speech and music are not alike: the share left per source or label, with the number of items."""
    columns = ["system", *(f"{v or '-'} ({found['input']['mr_stft'].count})" for v, found in parts.items())]
    rows = [[title, *(found[name]["share_left"].text() for found in parts.values())] for name, title in titles.items()]
    return Table(f"Share of the input's MR-STFT distance left, by {what} (items)", columns, rows)


def _draw(path: Path, items: Sequence[dict], titles: dict[str, str]) -> None:
    """Left: the items' MR-STFT distance before and after, one dot an item; right: sorted distances per system."""
    names = list(titles)
    distance = {n: np.array([i["metrics"][n]["mr_stft"] for i in items]) for n in names}
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
