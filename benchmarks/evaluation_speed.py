"""What an item of protocol P1 costs, stage by stage, and the metrics beside their references' implementations.

    python -m benchmarks.evaluation_speed [--items 16] [--repeats 5] [--encoder tiny]

Halves of 65536 samples at 24 kHz, one thread. Times are medians of the wall clock per item.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import auraloss
import librosa
import numpy as np
import torch

from stylefx.evaluation.metrics import audio as metrics
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.systems.base import ModelSystem
from stylefx.evaluation.systems.rule_based import RuleBased
from tests.support.truth_corpus import RATE, make_sample, untrained_model

FRAMES = 65536


def pairs(count: int) -> list[Pair]:
    """Made samples with an equalised and compressed target."""
    out = []
    for i in range(count):
        made = make_sample(i, FRAMES)
        x, y = made["input"], made["target"]
        out.append(Pair(f"made-{i}", "made", "made", "a", RATE, x[:, :FRAMES], y[:, FRAMES:], y[:, :FRAMES]))
    return out


def stages(items: list[Pair], encoder: str) -> dict[str, Callable[[], object]]:
    """Name -> what does that stage for all items."""
    model, rule_based = ModelSystem(untrained_model(encoder)), RuleBased()
    sizes = list(metrics.MR_STFT_SIZES)
    theirs = auraloss.freq.MultiResolutionSTFTLoss(sizes, [s // 2 for s in sizes], sizes, w_sc=0, w_log_mag=1, w_lin_mag=1)
    tensors = [tuple(torch.from_numpy(a)[None] for a in (p.input, p.target)) for p in items]
    features = [metrics.Features.of(p.target, RATE) for p in items]
    return {
        "all metrics of one output": lambda: [
            metrics.compare(metrics.Features.of(p.input, RATE), f) for p, f in zip(items, features, strict=True)
        ],
        "MR-STFT, ours, float64": lambda: [metrics.mr_stft(p.input, p.target) for p in items],
        "MR-STFT, auraloss, float32": lambda: [theirs(*t) for t in tensors],
        "centroid, ours": lambda: [metrics.mean_centroid_hz(p.input, RATE) for p in items],
        "centroid, librosa": lambda: [librosa.feature.spectral_centroid(y=p.input, sr=RATE, n_fft=2048).mean() for p in items],
        "RB-DSP": lambda: rule_based(items),
        f"model ({encoder}): predict and render": lambda: model(items),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--encoder", default="tiny")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work = stages(pairs(arguments.items), arguments.encoder)
    found: dict[str, list[float]] = {name: [] for name in work}
    for repeat in range(arguments.repeats + 1):
        for name, function in work.items():
            start = time.perf_counter()
            with torch.no_grad():
                function()
            if repeat:  # the first round compiles and fills caches
                found[name].append(time.perf_counter() - start)
    rounds = f"medians of {arguments.repeats} rounds, one thread, numpy {np.__version__}"
    print(f"{arguments.items} items of {FRAMES} samples, {rounds}\n")
    print("| stage | ms per item |\n|---|---:|")
    for name, seconds in found.items():
        print(f"| {name} | {1000 * statistics.median(seconds) / arguments.items:.1f} |")


if __name__ == "__main__":
    main()
