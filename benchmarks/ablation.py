"""What each idea in the `base` encoder buys: trainings of equal steps on equal data, one idea left out at a time.

    python -m benchmarks.ablation CORPUS [--steps 1000] [--seeds 1] [--items 100] [--out runs/ablation]

Every variant sees the same samples in the same order. Measured as protocol P1 of `stylefx evaluate` on the held-out split:
share of the input's MR-STFT distance left, with its bootstrap interval, and the other distances. Finished variants are kept
in the folder, so that an interrupted run goes on; the training itself resumes from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from stylefx.evaluation.opening import open_job
from stylefx.evaluation.protocols.transfer import run as paired_transfer
from stylefx.evaluation.report import Table, plain
from stylefx.files.atomic import publish_text
from stylefx.models.style_transfer import build_model
from stylefx.training.config import TrainingConfig, resolve_chain, validate
from stylefx.training.launch.local import run_training

#: name -> (what is left out or exchanged, options of the encoder)
VARIANTS: dict[str, tuple[str, dict]] = {
    "base": ("base, complete", {}),
    "no-map": ("without the time-frequency map", {"use": ["averages", "envelope"]}),
    "no-averages": ("without average spectrum and dynamics", {"use": ["map", "envelope"]}),
    "no-envelope": ("without the envelope on a short hop", {"use": ["map", "averages"]}),
    "map-only": ("the map alone", {"use": ["map"]}),
    "no-coordinate": ("without the frequency coordinate", {"coordinate": False}),
    "pool-frequency": ("frequency pooled away in the map", {"pool_frequency": True}),
    "map-only-pool-frequency": ("the map alone, frequency pooled away", {"use": ["map"], "pool_frequency": True}),
}
SHOWN = ("mr_stft", "msd", "sce_hz", "rms_db", "lufs")


def configuration(options: dict, corpus: Path, arguments: argparse.Namespace, seed: int) -> TrainingConfig:
    """The same for every variant but for the encoder's options."""
    data = {
        "seed": seed,
        "steps": arguments.steps,
        "global_batch": arguments.batch,
        "device": arguments.device,
        "data": {"corpora": [str(corpus)], "crop_samples": arguments.crop_samples},
        "model": {"encoder": {"name": "base", **options}},
        "optimiser": {
            "learning_rate": arguments.learning_rate, "schedule": "cosine", "warmup_steps": min(50, arguments.steps // 5),
        },
        "validation": {"every_steps": max(1, arguments.steps // 4), "samples": 64},
        "checkpoints": {"every_steps": max(1, arguments.steps // 4), "keep_last": 1},
        "logging": {"tensorboard": False, "media_samples": 0},
    }  # fmt: skip
    return validate(data, "the ablation's configuration")


def measure(name: str, seed: int, arguments: argparse.Namespace) -> dict:
    """Train (or go on) and evaluate one variant; what is measured already is read back."""
    folder = arguments.out / f"{name}-{arguments.steps}-seed{seed}"
    done = folder / "p1.json"
    if done.exists():
        return json.loads(done.read_text())
    config = configuration(VARIANTS[name][1], arguments.corpus, arguments, seed)
    run_training(config, folder, True, print)
    job = open_job(folder, arguments.corpus, items=arguments.items, split=arguments.split)
    report = paired_transfer(job)
    job.close()
    result = plain({**report.results["systems"], "setup": report.setup})
    publish_text(done, json.dumps(result, indent=1) + "\n")
    return result


def parameters_of(options: dict) -> int:
    """Parameters of encoder and controller."""
    chain = resolve_chain("deepafx-st").to_dict()
    model = build_model({"encoder": {"name": "base", **options}, "chain": chain, "sample_rate": 24000})
    return sum(p.numel() for p in model.parameters())


def table(results: dict[tuple[str, int], dict], steps: int, seeds: int) -> Table:
    """One row per variant and seed; input and RB-DSP first."""
    first = next(iter(results.values()))
    rows = [_row(title, "", "", first[key]) for key, title in (("input", "input"), ("rule-based", "RB-DSP"))]
    for (name, seed), result in results.items():
        title, options = VARIANTS[name]
        rows.append(_row(title, f"{parameters_of(options) / 1e6:.2f} M", str(seed), result["model"]))
    columns = ["variant", "parameters", "seed", "share left", "95 %", *SHOWN]
    note = f"{steps} steps each, the same samples in the same order; {seeds} seed(s)."
    return Table("Ablation of the base encoder", columns, rows, note)


def _row(title: str, size: str, seed: str, values: dict) -> list[str]:
    share = values["share_left"]
    interval = f"{share['low']:.3f}..{share['high']:.3f}"
    return [title, size, seed, f"{share['mean']:.3f}", interval, *(f"{values[m]['mean']:.3g}" for m in SHOWN)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--split", default="test")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop-samples", type=int, default=49152)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    arguments = parser.parse_args()
    unknown = [n for n in arguments.variants.split(",") if n not in VARIANTS]
    if unknown:
        parser.error(f"there is no variant {unknown[0]!r}; known: {', '.join(VARIANTS)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {
        (name, seed): measure(name, seed, arguments) for seed in range(arguments.seeds) for name in arguments.variants.split(",")
    }
    found = table(results, arguments.steps, arguments.seeds)
    publish_text(arguments.out / "ablation.md", found.markdown())
    print(found.markdown())


if __name__ == "__main__":
    main()
