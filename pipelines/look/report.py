"""One self-contained HTML page about a corpus: what is in it, what was left out and why, and how it sounds."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import Any

from pipelines.corpus.view import CorpusView
from pipelines.look.inspect import sample_html
from pipelines.look.page import figure, grid, joined, page, parts, table
from pipelines.look.rejects import rejects
from pipelines.look.svg import bars, histogram, line
from stylefx.effects.registry import effect_names, make_effect
from stylefx.files.html import Markup
from stylefx.keyed import integer

#: bytes of the samples' players and images; with the rest the page stays below 25 MB
SAMPLES_BUDGET = 20_000_000


MOST_ROWS = 50_000


_FIELD, _MOST_VALUES = "metadata: ", 60


def make_report(view: CorpusView, samples: int = 20, seed: int = 0) -> str:
    """The page. Large corpora are subsampled (keyed), and the page says so."""
    rows, total = _rows(view, seed)
    ok = [r for r in rows if r["status"] == "ok"]
    hours = _seconds_of_one(view) / 3600
    counts = Counter(r["status"] for r in rows)
    note = "" if len(rows) == total else f" Drawn from {len(rows):,} of {total:,} samples."
    state = "finished" if view.index is not None else "unfinished: only the committed shards are shown"
    lead = (
        f"{total:,} planned samples in {len(view.sidecars):,} shards ({state}); {len(ok) / max(len(rows), 1):.1%} usable. "
        f"One sample is two halves of {_seconds_of_one(view) / 2:.2f} s.{note}"
    )
    sections = [
        ("What is in it", _contents(ok, hours, len(rows) / max(total, 1))),
        ("What was left out", rejects(view, rows, counts)),
        ("Level, pitch and tempo", _levels(ok)),
        ("Effect parameters", _parameters(ok)),
        ("Sources", _sources(view)),
        ("Work", _work(view)),
        ("Listen", _listen(view, ok, samples, seed)),
    ]
    return page(f"Corpus {view.manifest['name']}", lead, sections)


def _seconds_of_one(view: CorpusView) -> float:
    """Seconds of one sample (both halves of one branch)."""
    segment = view.manifest["segment"]
    return float(2 * segment["half_frames"] / segment["sample_rate"])


def _rows(view: CorpusView, seed: int) -> tuple[list[dict[str, Any]], int]:
    """All rows, or a keyed choice of whole shards when there are too many; and how many there are."""
    sizes = {name: view.sidecar(name)["planned"] for name in _shards(view, seed)}
    kept, rows = 0, []
    for name, size in sizes.items():
        if kept and kept + size > MOST_ROWS:
            break
        rows += view.shard_rows(name)
        kept += size
    return rows, sum(sizes.values())


def _shards(view: CorpusView, seed: int) -> list[str]:
    return sorted(view.sidecars, key=lambda s: integer(seed, "report", s))


def _contents(ok: list[dict[str, Any]], hours: float, share: float) -> Markup:
    out, charts = [], []
    for row in ok:  # further columns of the recordings, under their own names
        row |= {f"{_FIELD}{k}": v for k, v in json.loads(row.get("metadata") or "{}").items()}
    for field in ("source", "split", "group", "label", *_fields(ok)):
        hours_of: dict[str, float] = defaultdict(float)
        for row in ok:
            hours_of[str(row.get(field) or "-")] += hours / share
        if field == "label" and set(hours_of) <= {"-"}:
            continue
        title = field.removeprefix(_FIELD)
        charts.append(figure(f"Hours of pairs by {title} ({len(hours_of)})", bars(hours_of, f"hours by {title}", "h")))
        if field in ("source", "split") or field.startswith(_FIELD):
            counted = Counter(str(r.get(field) or "-") for r in ok)
            out += [[title, name, counted[name], h] for name, h in sorted(hours_of.items())]
    return grid(*charts) + table(["by", "name", "samples", "hours"], out)


def _fields(ok: list[dict[str, Any]]) -> list[str]:
    """The columns of the metadata that sort samples: of few values each, not texts or numbers that differ everywhere."""
    values: dict[str, set[str]] = defaultdict(set)
    for row in ok:
        for name in (n for n in row if n.startswith(_FIELD)):
            values[name].add(str(row[name]))
    return sorted(n for n, found in values.items() if len(found) <= min(_MOST_VALUES, max(2, len(ok) // 2)))


def _values(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [float(r[name]) for r in rows if r.get(name) is not None and math.isfinite(r[name])]


def _levels(ok: list[dict[str, Any]]) -> Markup:
    augmented = [r for r in ok if r["pitch_cents"] or (r["tempo"] or 1.0) != 1.0]
    shifted = parts().paragraph(f"{len(augmented):,} of {len(ok):,} samples were shifted in pitch and tempo.")
    return joined(shifted, parts().key(["input", "target"])) + grid(
        figure(
            "Loudness of the samples, after",
            histogram({b: _values(ok, f"{b}_lufs") for b in ("input", "target")}, "loudness", "LUFS"),
        ),
        figure(
            "Peak of the samples, after",
            histogram({b: _values(ok, f"{b}_peak_dbfs") for b in ("input", "target")}, "peak", "dBFS"),
        ),
        figure("Pitch shift, augmented samples", histogram({"pitch": _values(augmented, "pitch_cents")}, "pitch", "cents")),
        figure("Tempo, augmented samples", histogram({"tempo": _values(augmented, "tempo")}, "tempo", "x")),
    )


def _parameters(ok: list[dict[str, Any]]) -> Markup:
    """A histogram per effect and parameter, input and target over one another."""
    used, drawn, units = _drawn(ok)
    out = []
    for effect in sorted(used):
        text = ", ".join(f"{branch} {n / len(ok):.0%}" for branch, n in sorted(used[effect].items()))
        figures = []
        for (name, parameter), series in drawn.items():
            if name == effect:
                unit, log = units.get((effect, parameter), ("", False))
                ordered: dict[str, list[float]] = {b: series[b] for b in ("input", "target") if b in series}
                figures.append(figure(parameter.replace("_", " "), histogram(ordered, parameter, unit, 24, log)))
        out.append(parts().unfold(f"{effect}: in the share of samples: {text}", grid(*figures), len(figures) <= 8))
    return joined(*out) or parts().nothing("No effects were drawn.")


_Drawn = dict[tuple[str, str], dict[str, list[float]]]


def _drawn(ok: list[dict[str, Any]]) -> tuple[dict[str, Counter[str]], _Drawn, dict[tuple[str, str], tuple[str, bool]]]:
    """Uses per effect and branch; values per effect, parameter and branch; unit and logarithmic scale per effect, parameter."""
    drawn: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    used: dict[str, Counter[str]] = defaultdict(Counter)
    units: dict[tuple[str, str], tuple[str, bool]] = {}
    for row in ok:
        for branch, steps in json.loads(row["settings"] or "{}").items():
            for step in steps:
                if step.get("step") != "effect":
                    continue
                used[step["effect"]][branch] += 1
                if step["effect"] in effect_names() and (step["effect"], "") not in units:
                    units[step["effect"], ""] = ("", False)
                    for p in make_effect(step["effect"], **step.get("config", {})).parameters:
                        units[step["effect"], p.name] = (p.unit, p.scale == "log")
                for name, value in step["settings"].items():
                    drawn[step["effect"], name][branch].append(value)
    return used, drawn, units


def _sources(view: CorpusView) -> Markup:
    catalog = view.catalog(["sample_rate", "frames", "bandwidth_hz", "lufs", "peak_dbfs"])
    found = list(zip(*(catalog[c].to_pylist() for c in catalog.column_names), strict=True))
    rates = Counter(f"{rate:,} Hz" for rate, *_ in found if rate)
    bandwidths = [f[2] for f in found if f[2]]
    lengths = [frames / rate for rate, frames, *_ in found if rate and frames]
    loudness, peaks = ([f[i] for f in found if f[i] is not None and f[i] > -120] for i in (3, 4))
    figures = [
        figure("Recordings by sample rate", bars(dict(rates), "sample rates", "")),
        figure("Bandwidth of the recordings", histogram({"bandwidth": bandwidths}, "bandwidth", "Hz", 32, True)),
        figure("Length of the recordings", histogram({"length": lengths}, "length", "s", 32, True)),
        figure("Loudness of the recordings, before", histogram({"loudness": loudness}, "loudness before", "LUFS")),
        figure("Peak of the recordings, before", histogram({"peak": peaks}, "peak before", "dBFS")),
    ]
    rows = [
        [s["name"], s.get("licence") or "unknown", s.get("attribution") or "", s.get("url") or ""]
        for s in view.manifest["sources"]
    ]
    return grid(*figures) + table(["source", "licence", "attribution", "where"], rows)


def _work(view: CorpusView) -> Markup:
    """Worker seconds per stage, and samples committed over the build."""
    stages: dict[str, float] = defaultdict(float)
    finished: list[tuple[float, int]] = []
    walls = []
    for name in view.sidecars:
        sidecar = view.sidecar(name)
        walls.append(sidecar.get("wall_s", 0.0))
        seconds = sidecar.get("seconds") or {}
        for stage, value in seconds.items() if isinstance(seconds, dict) else [("all", seconds)]:
            if stage not in ("total", "wall"):
                stages[stage] += value
        if sidecar.get("finished_s"):
            finished.append((float(sidecar["finished_s"]), sum((sidecar.get("counts") or {}).values())))
    figures = [figure("Worker time by stage", bars(dict(stages), "worker time", "s"))]
    if finished:
        finished.sort()
        begin, done = finished[0][0], 0
        x, y = [], []
        for at, count in finished:
            done += count
            x.append((at - begin) / 60)
            y.append(float(done))
        figures.append(figure("Samples committed over the build", line(x, y, "samples over time", "minutes", "samples")))
        figures.append(figure("Throughput over the build", line(*_rate(finished), "throughput", "minutes", "samples/s")))
    figures.append(figure("Worker time of a shard", histogram({"shards": walls}, "worker time of a shard", "s")))
    return grid(*figures)


def _rate(finished: list[tuple[float, int]], points: int = 30) -> tuple[list[float], list[float]]:
    """(minutes, samples per second) in equal stretches of the build; ``finished``: (second, samples) of each shard, sorted."""
    begin, end = finished[0][0], finished[-1][0]
    stretch = max((end - begin) / min(points, len(finished)), 1.0)
    sums: dict[int, int] = defaultdict(int)
    for at, count in finished[1:]:  # what came before the first commit is not known
        sums[int((at - begin) / stretch)] += count
    places = range(int((end - begin) / stretch) + 1)
    return [(i + 0.5) * stretch / 60 for i in places], [sums[i] / stretch for i in places]


def _listen(view: CorpusView, ok: list[dict[str, Any]], samples: int, seed: int) -> Markup:
    chosen = sorted(ok, key=lambda r: integer(seed, "report-listen", r["key"]))[:samples]
    out, size = [], 0
    for row in chosen:
        html = sample_html(view, row)
        if size + len(html) > SAMPLES_BUDGET:
            break
        out.append(html)
        size += len(html)
    left = len(chosen) - len(out)
    note = f" {left} more would have made the page larger than a browser likes." if left else ""
    return joined(parts().paragraph(f"{len(out)} samples drawn at random, as stored.{note}"), *out)
