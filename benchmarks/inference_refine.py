"""What ``--refine`` gains on held-out pairs: distances to the true target for the input, the prediction and after N steps.

python -m benchmarks.inference_refine CHECKPOINT CORPUS [--split test] [--items 50] [--steps 20 60]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from stylefx.corpus.reader import open_corpus
from stylefx.evaluation.metrics.audio import measure
from stylefx.evaluation.pairs import held_out, read_pair
from stylefx.inference.hearing.predict import predict
from stylefx.inference.hearing.windows import Analysis, Window
from stylefx.inference.refine import refine
from stylefx.models.checkpoint import load_model

METRICS = ("mr_stft", "msd", "sce_hz", "rms_db", "lufs")


def analysis(audio: np.ndarray, rate: int) -> Analysis:
    """A half of the corpus as it is: halves are normalised already."""
    return Analysis("half", rate, audio.shape[0], audio.shape[1], (Window(audio, 0.0, 0.0, 0.0),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("corpus")
    parser.add_argument("--split", default="test")
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 60])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, corpus = load_model(args.checkpoint), open_corpus(args.corpus)
    rows: dict[str, list[list[float]]] = {}
    seconds: dict[str, list[float]] = {}

    def note(name: str, output: np.ndarray, pair, elapsed_s: float = 0.0) -> None:
        values = measure(output, pair.target, pair.sample_rate)
        rows.setdefault(name, []).append([values[m] for m in METRICS])
        seconds.setdefault(name, []).append(elapsed_s)

    for ref in held_out(corpus, args.split, args.items):
        pair = read_pair(corpus, ref)
        source, style = analysis(pair.input, pair.sample_rate), analysis(pair.reference, pair.sample_rate)
        note("input", pair.input, pair)
        started = time.perf_counter()
        prediction = predict(model, source, [style], ())
        note("prediction", _render(model, pair, prediction.controls), pair, time.perf_counter() - started)
        for steps in args.steps:
            started = time.perf_counter()
            refined = refine(model, prediction, source, [style], (), steps)
            elapsed = time.perf_counter() - started
            note(f"refine {steps}", _render(model, pair, refined.controls), pair, elapsed)
    print(f"{len(rows['input'])} pairs of {args.split}, {args.threads} threads")
    print(f"{'':<12}" + "".join(f"{m:>10}" for m in METRICS) + f"{'seconds':>10}")
    for name, values in rows.items():
        means = np.nanmean(np.array(values), axis=0)
        print(f"{name:<12}" + "".join(f"{v:>10.3f}" for v in means) + f"{np.median(seconds[name]):>10.2f}")


def _render(model, pair, controls: np.ndarray) -> np.ndarray:
    return model.chain.render(pair.input, model.chain.settings(controls), pair.sample_rate)


if __name__ == "__main__":
    main()
