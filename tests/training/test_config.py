"""Configurations: typed, overridable, and mistakes answered in a sentence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from stylefx.training.cli import train
from stylefx.training.config import load_config, resolve_chain, validate
from stylefx.training.launch.ray import worker_range
from stylefx.training.loop.schedule import learning_rate
from stylefx.training.setup import evaluation_set, open_corpora
from tests.support.stored_corpus import make_corpus
from tests.training.conftest import small

MINIMAL = "steps: 10\ndata: {corpora: [a, b]}\n"


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    return path


def test_overrides_reach_every_depth_and_are_typed(file):
    config = load_config(file, ["optimiser.learning_rate=3e-4", "data.corpora=[x]", "model.encoder.name=tiny", "compile=true"])
    assert config.optimiser.learning_rate == 3e-4
    assert [c.path for c in config.data.corpora] == ["x"]
    assert config.model.encoder.name == "tiny"
    assert config.compile is True


@pytest.mark.parametrize(("override", "message"), [
    ("optimiser.learning_rat=1", "unknown key optimiser.learning_rat; did you mean 'learning_rate'"),
    ("stepz=1", "did you mean 'steps'"),
    ("optimiser.learning_rate=-1", r"optimiser.learning_rate: input should be greater than 0, got -1"),
    ("optimiser.schedule=linear", "optimiser.schedule: input should be 'step', 'cosine' or 'constant', got 'linear'"),
    ("data.corpora=[{path: a, weight: 1}, b]", "every corpus a weight or none"),
    ("steps", "is not NAME=VALUE"),
    ("steps.a=1", "with steps.a from the command line: steps.*: input should be a valid integer"),
])  # fmt: skip
def test_mistakes_are_named(file, override, message):
    with pytest.raises(UserError, match=message):
        load_config(file, [override])


def test_missing_keys_and_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.yaml: steps is missing"):
        validate({"data": {"corpora": "a"}}, "x.yaml")
    with pytest.raises(UserError, match=r"cannot read .*nowhere.yaml: No such file"):
        load_config(tmp_path / "nowhere.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"bad\.yaml line 1, column 5: not valid YAML"):
        load_config(tmp_path / "bad.yaml")


@pytest.mark.parametrize(("world", "micro", "want"), [(1, None, (16, 1)), (4, None, (4, 1)), (2, 2, (2, 4)), (1, 4, (4, 4))])
def test_the_global_batch_is_divided_over_ranks_and_passes(world, micro, want):
    config = validate({"steps": 1, "global_batch": 16, "micro_batch": micro, "data": {"corpora": "a"}}, "x")
    assert config.accumulation(world) == want


@pytest.mark.parametrize(("world", "micro"), [(3, None), (1, 5), (32, None)])
def test_a_global_batch_that_does_not_divide_is_refused(world, micro):
    config = validate({"steps": 1, "global_batch": 16, "micro_batch": micro, "data": {"corpora": "a"}}, "x")
    with pytest.raises(UserError, match="global_batch 16 is not a multiple"):
        config.accumulation(world)


def test_the_learning_rate_follows_its_schedule():
    step = validate({"steps": 100, "data": {"corpora": "a"}, "optimiser": {"learning_rate": 1}}, "x").optimiser
    assert [round(learning_rate(s, 100, step), 6) for s in (0, 79, 80, 94, 95, 99)] == [1, 1, 0.1, 0.1, 0.01, 0.01]
    cosine = step.model_copy(update={"schedule": "cosine", "warmup_steps": 10})
    assert [learning_rate(s, 100, cosine) for s in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert learning_rate(55, 100, cosine) == pytest.approx(0.505, abs=1e-6)
    assert learning_rate(100, 100, cosine) == pytest.approx(0.01)


def test_chains_are_presets_or_lists():
    assert resolve_chain("deepafx-st").num_controls == 24
    assert resolve_chain([{"effect": "compressor"}]).num_controls == 6
    with pytest.raises(UserError, match="full-band"):
        resolve_chain("deepafx")


def test_dry_run_prints_what_would_happen_and_trains_nothing(corpus, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(small(corpus, model__encoder={"name": "tiny"}).model_dump(mode="json")))
    result = CliRunner().invoke(
        train, [str(path), "--out", str(tmp_path / "run"), "--dry-run", "steps=7"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert yaml.safe_load(result.output.split("\n---")[0])["steps"] == 7
    for words in ("11 samples, 24000 Hz", "5 samples of 'val'", "24 controls", "4 items x 0.71 s", "memory per process"):
        assert words in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", sorted(Path("manifests/train").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_configurations_that_ship_are_valid(path):
    config = load_config(path)
    resolve_chain(config.model.chain)
    config.accumulation(1)


@pytest.mark.parametrize("script", ["torchrun.sh", "slurm_train.sbatch"])
def test_launch_scripts_are_sound_bash(script):
    subprocess.run(["bash", "-n", f"manifests/cluster/{script}"], check=True)


def test_the_ray_job_calls_the_command_as_it_is():
    """Its entry point parses, but for the corpus that only the cluster sees."""
    job = yaml.safe_load(Path("manifests/cluster/kuberay_train.yaml").read_text())
    words = job["spec"]["entrypoint"].replace("/app/", "").split()
    assert words[:2] == ["stylefx", "train"]
    context = train.make_context("train", words[2:])
    config = load_config(context.params["config"], context.params["assignments"])
    assert config.data.cache_gb == 200
    low, high = worker_range(context.params["ray_workers"])
    assert [config.accumulation(n) for n in range(low, high + 1)] == [(12, 1), (8, 1), (6, 1)]


def test_a_group_on_both_sides_is_refused_when_validation_is_another_corpus(corpus, tmp_path):
    """The splits of one corpus are disjoint by construction; a second corpus of the same recordings may cut them otherwise."""
    turned = make_corpus(tmp_path / "turned", {"val": [6]}, half_frames=20000)
    groups = {ref.group for ref in open_corpus(turned).samples("val")}
    config = small(corpus, validation__corpora=[str(turned)])
    corpora = open_corpora(config)
    if groups & {ref.group for ref in corpora[0].samples("train")}:
        with pytest.raises(UserError, match="is held out and in the training split"):
            evaluation_set(config, corpora, corpora)
    else:
        pytest.fail(f"the two corpora were meant to share a group, got {groups}")
