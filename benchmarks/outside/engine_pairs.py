"""How far apart input and target are when SoX renders them and when we do: the same recordings, the same draws.

    python -m benchmarks.outside.engine_pairs CORPUS --pairs 1000 [--preset paper-sox] [--clipping]

CORPUS stores dry halves (store: dry or both). The paper's table of distances begins with the row of such pairs; figures of ours
may stand beside it as far as these two columns agree. --clipping calls SoX without headroom, as the paper's pairs were made.
"""

from __future__ import annotations

import argparse

import numpy as np

from stylefx.corpus.reader import open_corpus
from stylefx.evaluation.metrics.audio import measure
from stylefx.evaluation.pairs import choose
from stylefx.evaluation.summary import summarise
from stylefx.recipes.chains import Level, Rendering
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import load_preset
from stylefx.recipes.steps import Filtered, apply_steps

METRICS = ("mr_stft", "msd", "sce_hz", "rms_db", "lufs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--split", default="train")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--preset", default="deepafx-st")
    parser.add_argument("--label", help="only samples of this label")
    parser.add_argument("--clipping", action="store_true")
    given = parser.parse_args()
    corpus, chains = open_corpus(given.corpus), load_preset(given.preset)
    refs = [r for r in corpus.samples(given.split) if given.label in (None, r.label)]
    engines = {"stylefx": Rendering(), "sox": Rendering(engine="sox", headroom=not given.clipping)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    groups: list[str] = []
    for number in range(given.pairs):
        ref = choose(refs, None)[number % len(refs)]
        halves = corpus.read(ref, ["a.dry", "b.dry"])
        clip = np.concatenate([halves["a.dry"], halves["b.dry"]], axis=1)
        try:
            rows = {
                name: _distances(clip, chains, ref.key, number // len(refs), engine, corpus) for name, engine in engines.items()
            }
        except Filtered:
            continue
        groups.append(ref.group)
        for name, row in rows.items():
            found[name].append(row)
    print(f"{len(groups)} pairs of {len(set(groups))} groups, preset {given.preset}")
    print("| | " + " | ".join(METRICS) + " |\n|---|" + "---:|" * len(METRICS))
    for name, rows in found.items():
        print(f"| {name} | " + " | ".join(summarise([r[m] for r in rows], groups).text() for m in METRICS) + " |")
    ratios = [np.nanmean([r[m] for r in found["sox"]]) / np.nanmean([r[m] for r in found["stylefx"]]) for m in METRICS]
    print("| sox / stylefx | " + " | ".join(f"{r:.3f}" for r in ratios) + " |")


def _distances(clip: np.ndarray, chains, key: str, seed: int, engine: Rendering, corpus) -> dict[str, float]:
    """Of input and target of the second half, so that compressors have settled, as in a corpus' half b."""
    drawing = Drawing(seed, corpus.sample_rate, Level(peak_dbfs=-12.0), render=engine)
    recipe = drawing.recipe(chains, key)
    branches = [apply_steps(clip, recipe[b], corpus.sample_rate)[0][:, corpus.half_frames :] for b in ("input", "target")]
    return measure(*branches, corpus.sample_rate)


if __name__ == "__main__":
    main()
