"""The distance of input and target that each preset makes, on the dry halves of a corpus.

    python -m benchmarks.preset_distances corpora/demo --items 60

MR-STFT of one half of each pair, mean and deciles, by source; the share of inputs without an effect; and how often full scale
would be exceeded, where a fixed-point format scales the clip down.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from stylefx.audio.distance import mr_stft
from stylefx.corpus.reader import Corpus, SampleRef, open_corpus
from stylefx.evaluation.pairs import choose
from stylefx.recipes.chains import Chains, Level
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import preset_names, resolve_chains
from stylefx.recipes.steps import apply_steps


def pair(corpus: Corpus, ref: SampleRef, chains: Chains, drawing: Drawing) -> tuple[np.ndarray, np.ndarray, bool]:
    """(input, target, whether the input has effects), both halves each."""
    rate = corpus.sample_rate
    halves = corpus.read(ref, ["a.dry", "b.dry"])
    recipe = drawing.recipe(chains, ref.key)
    dry, _ = apply_steps(np.concatenate([halves["a.dry"], halves["b.dry"]], axis=1), recipe["clean"], rate)
    source, target = (apply_steps(dry, recipe[branch], rate)[0] for branch in ("input", "target"))
    return source, target, any(step["step"] == "effect" for step in recipe["input"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--items", type=int, default=60)
    options = parser.parse_args()
    corpus = open_corpus(options.corpus)
    refs = choose(corpus.samples("train"), options.items)
    print(f"{corpus.sample_rate} Hz, {len(refs)} samples")
    print(f"{'preset':<14}{'source':<12}{'items':>6}{'mean':>8}{'10 %':>8}{'median':>8}{'90 %':>8}{'dry inputs':>12}{'over':>7}")
    for preset in preset_names():
        chains = resolve_chains(preset, None, (), corpus.sample_rate)
        drawing = Drawing(0, corpus.sample_rate, Level(peak_dbfs=-12.0))
        found = defaultdict(list)
        for ref in refs:
            source, target, effects = pair(corpus, ref, chains, drawing)
            n = corpus.half_frames
            loud = max(np.abs(source).max(), np.abs(target).max()) > 1.0
            found[ref.source].append((mr_stft(source[:, :n], target[:, :n]), not effects, loud))
        for source, rows in sorted(found.items()):
            distances, dry, loud = np.array(rows, float).T
            low, middle, high = np.quantile(distances, (0.1, 0.5, 0.9))
            print(
                f"{preset:<14}{source:<12}{len(rows):>6}{distances.mean():>8.3f}{low:>8.3f}{middle:>8.3f}{high:>8.3f}"
                f"{dry.mean():>11.0%}{loud.mean():>8.1%}"
            )


if __name__ == "__main__":
    main()
