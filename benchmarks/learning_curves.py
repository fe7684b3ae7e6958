"""How good a model is after how many CPU seconds, and what each part of the solver's training buys.

    python -m benchmarks.learning_curves CORPUS [--budget 180] [--seeds 3] [--ablation-seeds 1] [--png FILE]

CORPUS holds halves of one recording (manifests/train/paper.yaml says how it is built). A variant's number of steps is what fits
into about ``--budget`` CPU seconds, warm-up, making of pairs and validations included; each validation is a point: share of the
input's MR-STFT distance left on held-out groups. The learning rate falls over the variant's own steps, so that a small budget
is a whole training. Finished runs are kept in the folder --out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stylefx.figures.style import drawing, palette
from stylefx.files.atomic import publish_text

_SOLVER = ["manifests/train/paper.yaml", "warm_up.items=1000", "warm_up.curve_steps=800", "warm_up.solver_steps=500"]
_COLD = [*_SOLVER, "warm_up.curve_steps=0", "warm_up.solver_steps=0"]
#: name -> (what it is, configuration and overrides, CPU seconds of a step, of what comes before)
VARIANTS: dict[str, tuple[str, list[str], float, float]] = {
    "solver": ("the solver, complete", _SOLVER, 0.42, 65.0),
    "not-behind": ("its heads hear the input as it is", [*_SOLVER, "model.controller.after_equaliser=false"], 0.42, 65.0),
    "cold": ("no warm-up", _COLD, 0.42, 3.0),
    "few-pairs": ("stored recipes, no warm-up of curves", [*_SOLVER, "data.render=recipe", "warm_up.curve_steps=0"], 0.42, 25.0),
    "no-solver": ("averages, MLP in the solver's place", [*_COLD, "model.controller={name: mlp, hidden: 384}"], 0.42, 3.0),
    "tiny": ("encoder tiny, MLP, fresh effects", ["manifests/train/tiny.yaml", "data.render=online"], 0.62, 3.0),
}
_MAIN = ("solver", "tiny")
_POINTS = 4


def measure(name: str, seed: int, budget: float, corpus: str, out: Path) -> list[tuple[float, float]]:
    """[(CPU seconds, share of the distance left)] of one training, made here or kept."""
    run = out / f"{name}-{seed}-{budget:g}"
    kept = run.with_suffix(".json")
    if not kept.exists():
        here = [sys.executable, "-m", "benchmarks.learning_curves", corpus, "--one", name, "--seed", str(seed)]
        subprocess.run([*here, "--budget", str(budget), "--out", str(out)], check=True)
    return [tuple(point) for point in json.loads(kept.read_text())]


def train_one(name: str, seed: int, budget: float, corpus: str, out: Path) -> None:
    """In this process, so that its CPU time is the training's."""
    from stylefx.training.config import load_config
    from stylefx.training.launch.local import run_training

    _, (configuration, *overrides), step_s, before_s = VARIANTS[name]
    steps = max(_POINTS, int((budget - before_s) / step_s))
    common = [f"data.corpora=[{corpus}]", f"seed={seed}", f"steps={steps}", f"validation.every_steps={-(-steps // _POINTS)}"]
    common += ["validation.samples=64", "validation.render=online", "logging.tensorboard=false", "checkpoints.every_steps=100000"]
    config = load_config(configuration, [*overrides, *common, "device=cpu", "threads=1"])
    seconds: list[float] = []

    def heard(line: str) -> None:
        if ": held out " in line:
            seconds.append(time.process_time())  # the loader's threads count too

    out.mkdir(parents=True, exist_ok=True)
    run = out / f"{name}-{seed}-{budget:g}"
    run_training(config, run, False, heard)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    left = [row["mr_stft_ratio"] for row in rows if row["kind"] == "validation"]
    publish_text(run.with_suffix(".json"), json.dumps(list(zip(seconds, left, strict=True))))


def curves(results: dict[str, list[list[tuple[float, float]]]]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, CPU seconds (points,), shares left (seeds, points))"""
    for name, runs in results.items():
        points = np.array([run[: min(map(len, runs))] for run in runs])
        yield name, points[..., 0].mean(axis=0), points[..., 1]


def draw(results: dict[str, list[list[tuple[float, float]]]], png: Path) -> None:
    colours = palette(list(results))
    with drawing(png, 9, 5) as figure:
        axis = figure.subplots()
        for name, seconds, left in curves(results):
            axis.plot(seconds, left.mean(axis=0), marker="o", color=colours[name], label=VARIANTS[name][0])
            axis.fill_between(seconds, left.min(axis=0), left.max(axis=0), color=colours[name], alpha=0.15)
        axis.set_xlabel("CPU seconds of training, warm-up included")
        axis.set_ylabel("MR-STFT distance left, of the input's (held-out groups)")
        axis.set_xlim(left=0)
        axis.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--budget", type=float, default=180.0, help="CPU seconds of a training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ablation-seeds", type=int, help="of the solver without one of its parts (as many as --seeds)")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("--png", type=Path)
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        return train_one(given.one, given.seed, given.budget, given.corpus, given.out)
    names = [name for name in given.variants.split(",") if name]
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        parser.error(f"there is no variant {unknown[0]!r}; choose among {', '.join(VARIANTS)}")
    counts = {name: given.seeds if name in _MAIN else given.ablation_seeds or given.seeds for name in names}
    results = {}
    for name in names:
        seeds = range(1, counts[name] + 1)
        results[name] = [measure(name, seed, given.budget, given.corpus, given.out) for seed in seeds]
    for name, seconds, left in curves(results):
        cells = [f"{s:.0f} s: {v.mean():.3f} ({v.min():.3f}-{v.max():.3f})" for s, v in zip(seconds, left.T, strict=True)]
        print(f"{VARIANTS[name][0]:38s} {'  '.join(cells)}")
    if given.png:
        draw(results, given.png)
    return None


if __name__ == "__main__":
    main()
