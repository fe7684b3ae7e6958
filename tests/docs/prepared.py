"""A folder in which the documented commands can run as they stand: short recordings, small corpora, a model of two steps, all
under the names that the pages use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import soundfile
import yaml

from tests.docs.blocks import ROOT
from tests.support.builds import tone_bursts

RATE = 24000
SPEECH = "demo/audio/fillets-ng-data-cs/usr/share/sound/cs"
MUSIC = "demo/audio/zaz-data"
RECORDINGS = {
    **{f"{SPEECH}/a-{who}-{n}.ogg": 14.0 for n, who in enumerate(("m", "v", "x"))},
    **{f"{MUSIC}/mus{n}.ogg": 14.0 for n in range(1, 5)},
    **{f"data/voices/{name}/one.wav": 8.0 for name in ("anna", "ben", "eva")},
    **{f"takes/{name}.wav": 3.0 for name in ("one", "two")},
}
FILES = ("voice.wav", "reference.wav", "song.wav", "reference.flac", "other.wav")


def run_pipe(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``stylefx-pipe ARGUMENTS`` in the folder, as a program of its own: it forks its workers."""
    program = "from pipelines.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def prepare(folder: Path) -> None:
    """Everything but the model, which ``stylefx train`` makes."""
    for seed, (name, seconds) in enumerate([*RECORDINGS.items(), *((name, 4.0) for name in FILES)]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone_bursts(seconds, RATE, seed), RATE)
    _templates(folder)
    for manifest, out in (("mine.yaml", "demo/corpus"), ("other.yaml", "corpora/styles")):
        done = run_pipe(folder, "build", manifest, "--out", out, "--workers", "1", "--progress", "quiet")
        assert done.returncode == 0, done.stderr
    for name in ("mine", "copy"):
        (folder / "corpora" / name).symlink_to(folder / "demo/corpus")


def _templates(folder: Path) -> None:
    """The manifests as they are, the training configurations with next to no work."""
    shutil.copytree(ROOT / "manifests", folder / "manifests")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    manifest = yaml.safe_load((folder / "manifests/demo.yaml").read_text())
    (folder / "mine.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "other.yaml").write_text(
        yaml.safe_dump(manifest | {"name": "styles", "output": "corpora/styles", "preset": "styles"})
    )
    for path in (folder / "manifests/train").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        config |= {"steps": 2, "global_batch": 2, "logging": {"media_samples": 0, "backends": []}}
        config["data"] |= {"crop_samples": 24576, "workers": 0, "corpora": ["demo/corpus"]}
        config["validation"] = {"every_steps": 2, "samples": 1, "crop_samples": 24576}
        config["checkpoints"] = {"every_steps": 2}
        path.write_text(yaml.safe_dump(config))


def settle(folder: Path) -> None:
    """What earlier commands of a page would have left: runs, settings, cluster recipes."""
    for name in ("demo", "mine", "base"):
        shutil.copytree(folder / "demo/run", folder / "runs" / name)
    for name in ("out", "styled"):
        shutil.copy(folder / "first.json", folder / f"{name}.json")
    for recipe in (ROOT / "manifests/cluster").iterdir():
        shutil.copy(recipe, folder / recipe.name)
