"""P2: parameter recovery. Are the predicted settings those that made the target, as curves and times?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.effects.chain import EffectChain
from stylefx.effects.curves import response_db, with_configs
from stylefx.errors import UserError
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.parameters import ERRORS, eq_error_db, error_grid, functional_error
from stylefx.evaluation.metrics.truth import known_settings, true_eq_db
from stylefx.evaluation.pairs import batches
from stylefx.evaluation.report import Report, Table
from stylefx.evaluation.summary import Summary, summarise
from stylefx.figures.style import drawing, frequency_axis, palette

HEADINGS = dict(zip(ERRORS, ("EQ curve dB", "static curve dB", "attack oct", "release oct"), strict=True))
NEUTRAL = "neutral"


def run(job: EvaluationJob) -> Report:
    """Functional errors of every system that has settings, beside those of neutral settings."""
    chain, rate = job.model.chain, job.corpus.sample_rate
    systems = [s for s in job.systems if s.name not in ("input", "rule-based")]
    titles = {NEUTRAL: "neutral settings", **{s.name: s.title for s in systems}}
    grid, items, curves = error_grid(rate), list[dict[str, Any]](), []
    by_key = {ref.key: ref for ref in job.refs}
    for pairs in batches(job.corpus, job.refs, job.batch):
        outcomes = {system.name: system(pairs) for system in systems}
        for i, pair in enumerate(pairs):
            metadata = job.corpus.metadata(by_key[pair.key])
            settings = {NEUTRAL: chain.settings(chain.default_controls)}
            settings |= {name: done[i].settings for name, done in outcomes.items() if done[i].settings is not None}
            errors, drawn = _errors(settings, metadata, chain, rate, grid)
            items.append({"key": pair.key, "group": pair.group, "errors": {n: errors.get(n, _missing()) for n in titles}})
            curves.append(drawn)
    exact = [item for item in items if math.isfinite(item["errors"][NEUTRAL]["static_db"])]
    groups = [item["group"] for item in items]
    summaries = {
        name: {e: _summary([item["errors"][name][e] for item in items], e, groups, job.seed) for e in ERRORS} for name in titles
    }
    rows = [[titles[name], *(summaries[name][e].text() for e in ERRORS)] for name in titles]
    return Report(
        protocol="p2",
        title="Parameter recovery",
        question="Distance between predicted and true settings in what they do: equaliser curves on an ERB grid up to a constant "
        "and static curves over levels of -60..-6 dBFS (RMS, dB), times in octaves. Means with bootstrap 95 % intervals.",
        setup=job.describe(),
        results={"systems": summaries, "items": items},
        tables=[Table("Functional parameter error", ["settings", *HEADINGS.values()], rows, "Lower is better.")],
        draw=lambda path: _draw(path, curves, items, titles, grid, rate),
        notes=_notes(len(exact), len(items)),
    )


def _notes(exact: int, total: int) -> list[str]:
    if exact == total:
        return ["Times count where the true compressor reduces a peak of -12 dBFS by 1 dB or more."]
    return [
        f"{total - exact} of {total} samples have no equivalent settings (the input branch was processed): there only the "
        "equalisers' curve is known and compared. A corpus of the preset recovery has them everywhere."
    ]


def _missing() -> dict[str, float]:
    return dict.fromkeys(ERRORS, math.nan)


def _summary(values: Sequence[float], error: str, groups: Sequence[str], seed: int) -> Summary:
    """What the truth leaves undefined is no failure of a system: it is left out, not counted."""
    if error == "eq_db":
        return summarise(values, groups, seed)
    known = [i for i, v in enumerate(values) if math.isfinite(v)]
    return summarise([values[i] for i in known], [groups[i] for i in known], seed)


def _errors(
    settings: Mapping[str, Any], metadata: Mapping[str, Any], chain: EffectChain, rate: float, grid: np.ndarray
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Errors per system, and the equaliser curves (true and predicted) for the picture."""
    truth = known_settings(metadata, chain)
    if truth is None and not (metadata.get("target") or metadata.get("input")):
        raise UserError("the corpus records no steps of its branches; parameter recovery needs one that stylefx-pipe built")
    if truth is not None:
        true_db = response_db(with_configs(chain, truth), rate, grid)
    else:
        true_db = true_eq_db(metadata, rate, grid)
    errors, curves = {}, {"true": true_db}
    for name, predicted in settings.items():
        curves[name] = response_db(with_configs(chain, predicted), rate, grid)
        if truth is not None:
            errors[name] = functional_error(predicted, truth, chain, rate)
        else:
            errors[name] = {**_missing(), "eq_db": eq_error_db(curves[name], true_db)}
    return errors, curves


def _draw(
    path: Path,
    curves: Sequence[dict[str, Any]],
    items: Sequence[dict[str, Any]],
    titles: Mapping[str, Any],
    grid: np.ndarray,
    rate: float,
) -> None:
    """True and predicted equaliser curves of up to five items (from the best to the worst), and the spread of the errors."""
    order = np.argsort([item["errors"]["model"]["eq_db"] for item in items])
    chosen = [int(order[i]) for i in np.unique(np.linspace(0, len(order) - 1, 5).round().astype(int))]
    colours = palette(list(titles))
    with drawing(path, 12, 7.2) as figure:
        axes = figure.subplots(2, 3).ravel()
        for axis, index in zip(axes, chosen, strict=False):
            drawn = curves[index]
            axis.axhline(0, color="#9aa0a8", linewidth=0.8)
            axis.plot(grid, drawn["true"] - drawn["true"].mean(), color="#22262c", label="true")
            if "model" in drawn:
                axis.plot(grid, drawn["model"] - drawn["model"].mean(), color=colours["model"], label="model")
            axis.set_title(f"EQ of one item: error {items[index]['errors']['model']['eq_db']:.1f} dB")
            axis.set_ylabel("Gain about its mean (dB)")
            frequency_axis(axis, rate, low_hz=40)
            axis.legend(loc="best", fontsize=8)
        for axis in axes[len(chosen) : 5]:
            axis.set_visible(False)
        for name, title in titles.items():
            values = np.sort([i["errors"][name]["eq_db"] for i in items if math.isfinite(i["errors"][name]["eq_db"])])
            axes[5].step(values, 100 * (np.arange(len(values)) + 1) / max(1, len(values)), color=colours[name], label=title)
        axes[5].set(xlabel="EQ curve error (dB)", ylabel="Items at most so far (%)", ylim=(0, 101))
        axes[5].set_title("All items")
        axes[5].legend(loc="lower right", fontsize=8)
