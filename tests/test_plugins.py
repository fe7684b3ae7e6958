"""Plug-ins: a package that is installed brings effects, sources, augmentations and encoders, without a line of ours changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "tests/plugin_example"
MANIFEST = """
name: plugged
output: corpus
plugins: [stylefx-example]
sources: [{name: tones, kind: tones, path: 3x4, group: {column: singer}, licence: CC0}]
segment: {half_frames: 8192, sample_rate: 12000}
split: {val: [tones/singer-1], test: [tones/singer-2]}
shard: {samples: 2}
augment:
  probability: 0
  splits: [train, val, test]
  extra: [{name: crackle, probability: 1, parameters: {per_second: {uniform: [10, 30]}}}]
chains:
  input: []
  target: [{step: effect, effect: example_tremolo, settings: {rate_hz: {uniform: [2, 8]}, depth: 0.8}}]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The example, installed by pip as a user installs it, into a folder of its own."""
    target = tmp_path_factory.mktemp("plugins") / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    source = tmp_path_factory.mktemp("source") / "example"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(source)], check=True)  # a build leaves folders beside what it builds
    done = subprocess.run([*command, "--target", str(target), str(source)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


def run(folder: Path, installed: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *([str(installed)] if installed else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def pipe(folder: Path, installed: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, installed, "-m", "pipelines.cli.main", *arguments)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, installed) -> Path:
    """Built by child processes, as the command does it."""
    folder = tmp_path_factory.mktemp("plugged")
    (folder / "m.yaml").write_text(MANIFEST)
    done = pipe(folder, installed, "build", "m.yaml", "--workers", "1", "--progress", "quiet")
    assert done.returncode == 0, done.stderr
    return folder / "corpus"


def test_workers_find_the_effect_the_source_and_the_augmentation(corpus):
    from stylefx.corpus.opened import open_corpus

    opened = open_corpus(corpus)
    assert {s.group for s in opened} == {f"tones/singer-{n}" for n in range(3)}
    for sample in opened:
        assert sample.document["augmentation"]["extra"][0]["name"] == "crackle"
        assert [s["effect"] for s in sample.document["target"] if s["step"] == "effect"] == ["example_tremolo"]
        assert abs(sample.target - sample.input).max() > 0.01


def test_the_environment_records_the_plug_in(corpus):
    sidecar = json.loads(next(corpus.glob("train/*.json")).read_text())
    assert sidecar["environment"]["plug-in stylefx-example"].startswith("1.0.0 ")


def test_the_plugged_corpus_is_verified_by_rendering_it_again(corpus, installed):
    done = pipe(corpus.parent, installed, "verify", "corpus", "--deep", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the level bytes (same environment)" in done.stdout


def test_a_machine_without_the_plug_in_says_which(corpus, tmp_path):
    done = pipe(corpus.parent, None, "build", "m.yaml", "--dry-run", "--out", str(tmp_path / "c"))
    assert done.returncode == 2
    assert "the plug-in 'stylefx-example' is not installed here" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_node_is_asked_before_the_build(installed, tmp_path):
    code = (
        "import json, yaml\nfrom pipelines.builder.preflight import check_node\n"
        "from pipelines.manifest.model import Manifest\n"
        f"text = Manifest.model_validate(yaml.safe_load({MANIFEST!r})).model_dump_json()\n"
        "print(json.dumps(check_node(text, 'out', ())))"
    )
    here, there = (json.loads(run(tmp_path, place, "-c", code).stdout) for place in (installed, None))
    assert here["environment"]["plug-in stylefx-example"].startswith("1.0.0 ")
    assert "'stylefx-example' is not installed here" in there["problem"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("plugins: [stylefx-example]\n", ""), "comes from the plug-in stylefx-example, which is not listed; add plugins: ["),
        (("stylefx-example]", "stylefx-exmple]"), "did you mean 'stylefx-example'?"),
        (("kind: tones", "kind: tone"), "did you mean 'tones'?"),
        (("name: crackle", "name: crackel"), "did you mean 'crackle'?"),
        (("per_second:", "per_secnd:"), "did you mean 'per_second'?"),
        (("effect: example_tremolo", "effect: example_tremulo"), "did you mean 'example_tremolo'?"),
        (("path: 3x4", "path: three"), "give COUNTxSECONDS, such as 3x4"),
    ],
    ids=lambda value: value[1][:20] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_mistakes_with_plug_ins_end_in_a_sentence(change, sentence, installed, tmp_path):
    (tmp_path / "m.yaml").write_text(MANIFEST.replace(*change))
    done = pipe(tmp_path, installed, "build", "m.yaml", "--dry-run", "--workers", "1")
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_trains_through_the_effect_with_the_encoder(installed, tmp_path):
    """Gradients, a checkpoint, and what a configuration has to list."""
    code = """
import torch
from stylefx.errors import UserError
from stylefx.models.checkpoint import load_model, save_model
from stylefx.training.config import TrainingConfig
from stylefx.training.setup import make_model
model = {"encoder": {"name": "loudness"}, "chain": [{"effect": "example_tremolo"}]}
data = {"steps": 1, "data": {"corpora": ["c"]}, "model": model}
try:
    make_model(TrainingConfig.model_validate(data), 12000)
except UserError as error:
    print(error)
model = make_model(TrainingConfig.model_validate(data | {"plugins": ["stylefx_example"]}), 12000)
audio = torch.randn(2, 1, 4096)
out, controls = model(audio, audio.flip(0), 12000.0)
out.square().mean().backward()
print(any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters()))
save_model(model, "model")
print(torch.equal(load_model("model").predict(audio, audio), model.eval().predict(audio, audio)))
"""
    done = run(tmp_path, installed, "-c", code)
    assert done.returncode == 0, done.stderr
    refused, *rest = done.stdout.splitlines()
    assert "comes from the plug-in stylefx-example, which is not listed" in refused
    assert rest == ["True", "True"]


def test_a_manifest_without_plug_ins_keeps_its_digests():
    from pipelines.manifest.model import Manifest

    data = {"name": "m", "output": "o", "sources": [{"name": "s", "path": "p"}]}
    plain = Manifest.model_validate(data).to_dict()
    assert "plugins" not in plain
    assert "kind" not in plain["sources"][0]
    assert Manifest.model_validate(data | {"plugins": ["x"]}).recipe_digest() != Manifest.model_validate(data).recipe_digest()


def test_the_documents_show_the_example_as_it_is_tested():
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    for name in ("pyproject.toml", *(f"src/stylefx_example/{n}.py" for n in ("tremolo", "tones", "crackle", "loudness"))):
        assert (EXAMPLE / name).read_text(encoding="utf-8").strip() in text, name
