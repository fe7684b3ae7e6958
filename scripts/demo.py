"""`make demo`: real recordings -> verified corpus -> trained model -> held-out figures -> one transferred recording, drawn.

Each step is one command of the project, printed as it runs, so that it can be repeated by hand. Everything lands in demo/;
a second call goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path("demo")
BIN = Path(sys.executable).parent
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff"}


def stop(message: str, status: int = 2) -> None:
    print(f"demo: {message}", file=sys.stderr)
    sys.exit(status)


def step(title: str, *command: object) -> float:
    """Run one command, show it, and stop with its exit status when it fails. Returns its seconds."""
    words = [str(w) for w in command]
    print(f"\n== {title}\n$ {shlex.join([Path(words[0]).name, *words[1:]])}", flush=True)
    started = time.monotonic()
    status = subprocess.call(words)
    if status:
        stop(f"'{title}' ended with status {status}; mend it and run `make demo` again, it goes on from here", status)
    return time.monotonic() - started


def own_manifest(folder: Path) -> Path:
    """The demo's manifest with the user's folder as its source; one group is pinned to val and one to test."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in AUDIO_SUFFIXES)
    if len(files) < 3:
        stop(f"{folder} holds {len(files)} recordings; give at least 3, in all 10 minutes or more")
    parents = sorted({f.parent.name for f in files})
    by_folder = len(parents) >= 3
    groups = parents if by_folder else sorted(str(f.relative_to(folder)) for f in files)
    manifest = yaml.safe_load((ROOT / "manifests/demo.yaml").read_text())
    rule = {"parent": 1} if by_folder else {"regex": "(.+)"}
    manifest["sources"] = [{"name": "own", "path": str(folder), "group": rule, "licence": "your own"}]
    manifest["split"] = {
        "fractions": {"train": 1.0, "val": 0.0, "test": 0.0},
        "val": [f"own/{groups[0]}"],
        "test": [f"own/{groups[1]}"],
    }
    manifest["name"] = "demo-own"
    path = DEMO / "own.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    kind = "folder" if by_folder else "file (fewer than three folders: take care that no speaker or song is in two files)"
    print(f"{len(files)} recordings; groups by {kind}: {groups[0]!r} is for validation, {groups[1]!r} for the test")
    return path


def held_out(corpus: Path) -> tuple[Path, str]:
    """From the test split: the key of the sample with the strongest production, whose target is the reference, and the longest
    other recording of the same group (the same one, where the group has no other)."""
    from pipelines.corpus.view import CorpusView
    from pipelines.plan.file import plan_overview
    from pipelines.plan.samples import read_shard

    view = CorpusView(str(corpus))
    test = [r for r in view.rows() if r["split"] == "test" and r["status"] == "ok"]
    if not test:
        stop("the test split of the corpus is empty", 1)
    reference = max(test, key=lambda r: (_strength(json.loads(r["settings"])["target"]), r["key"]))
    heard = {part["recording"] for part in view.document(reference)["parts"]}
    plan = sorted(corpus.glob("plan-*.parquet"))[-1]
    found: dict[str, tuple[bool, float, str]] = {}
    for shard in plan_overview(plan):
        for sample in read_shard(plan, shard.number) if shard.split == "test" else []:
            for part in sample.parts if sample.group == reference["group"] else []:
                seconds = (part.start_frame + part.num_frames) / part.sample_rate
                entry = (part.recording not in heard, seconds, part.uri.removeprefix("file://"))
                found[part.recording] = max(found.get(part.recording, entry), entry)
    return Path(max(found.values())[2]), reference["key"]


def _strength(steps: list[dict]) -> float:
    """How much a chain does to the sound: dB of equaliser gain, and of gain reduction at full scale."""
    total = 0.0
    for step in steps:
        values = step.get("settings", {})
        if step.get("effect") == "parametric_eq":
            total += sum(abs(v) for k, v in values.items() if k.endswith("_gain_db"))
        elif step.get("effect") == "compressor":
            total += -values["threshold_db"] * (1 - 1 / values["ratio"])
    return total


def verdict(figures: Path) -> str:
    """What the held-out figures say, in a sentence."""
    systems = json.loads(figures.read_text())["results"]["systems"]
    left = {name: values["mr_stft"]["mean"] / systems["input"]["mr_stft"]["mean"] for name, values in systems.items()}
    text = f"held-out groups: the model leaves {left['model']:.2f} of the unprocessed input's MR-STFT distance"
    if "rule-based" in left:
        text += f", the rule-based baseline {left['rule-based']:.2f}"
    if left["model"] >= 1.0:
        text += ".\nWARNING: that is no better than doing nothing: too little or too uniform training material"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", default="", help="folder with your own recordings; default: fetch the demo's")
    parser.add_argument("--workers", default="2")
    arguments = parser.parse_args()
    DEMO.mkdir(exist_ok=True)
    started, seconds = time.monotonic(), {}

    if arguments.audio:
        folder = Path(arguments.audio).expanduser().resolve()
        if not folder.is_dir():
            stop(f"AUDIO={arguments.audio} is not a folder")
        tag = hashlib.blake2b(str(folder).encode(), digest_size=4).hexdigest()  # another folder is another corpus
        manifest, corpus, run = own_manifest(folder), DEMO / f"own-{tag}-corpus", DEMO / f"own-{tag}-run"
    else:
        seconds["fetch"] = step("recordings", "bash", ROOT / "scripts/fetch_recordings.sh", DEMO / "audio")
        manifest, corpus, run = ROOT / "manifests/demo.yaml", DEMO / "corpus", DEMO / "run"

    pipe, stylefx = BIN / "stylefx-pipe", BIN / "stylefx"
    seconds["build"] = step("corpus", pipe, "build", manifest, "--out", corpus, "--workers", arguments.workers)
    seconds["verify"] = step("verification", pipe, "verify", corpus)
    train = [stylefx, "train", ROOT / "manifests/train/demo.yaml", f"data.corpora=[{corpus}]", "--out", run, "--resume"]
    seconds["train"] = step("training", *train)
    figures = run / "evaluation.json"
    seconds["evaluate"] = step(
        "held-out groups", stylefx, "evaluate", run, corpus, "--split", "test", "-o", figures, "--overwrite"
    )
    source, key = held_out(corpus)
    style = run / "reference"
    step("a held-out production as the reference", pipe, "inspect", corpus, key, "--wav", style)
    reference = style / f"{key}.b.target.wav"
    transferred, picture, page = run / "transferred.wav", run / "transfer.png", run / "transfer.html"
    outputs = ["-o", transferred, "--figure", picture, "--page", page, "--overwrite"]
    seconds["transfer"] = step("style transfer", stylefx, "transfer", source, reference, *outputs, "--model", run)

    print("\n== done")
    print(verdict(figures))
    print("  ".join(f"{name} {value:.0f} s" for name, value in seconds.items()), f" in all {time.monotonic() - started:.0f} s")
    print(f"corpus       {corpus}/  (look: stylefx-pipe inspect {corpus}; stylefx-pipe report {corpus})")
    print(f"model        {run}/  (curves: {run}/curves.png; tensorboard --logdir {run})")
    print(f"figures      {figures}")
    print(f"input        {source}\nreference    {reference}\noutput       {transferred}")
    print(f"look, listen {picture}  {page}")


if __name__ == "__main__":
    main()
