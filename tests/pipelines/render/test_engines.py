"""``render.engine``: another program renders the chains, and recipe, environment and digests say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.builder.preflight import check_node
from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.manifest.load import load_manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.samples import read_shard
from pipelines.render.sample import render_sample
from pipelines.workers.environment import environment
from stylefx.errors import UserError
from stylefx.evaluation.metrics.audio import measure
from tests.conftest import require_program
from tests.support.builds import RATE, manifest_for, write_sources

PAPER = sorted(Path("manifests/paper").glob("*.yaml"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("engines") / "voices")


def manifest(source, out, **changes):
    return manifest_for(source, out, **changes)


@pytest.fixture(scope="module")
def rendered(source, tmp_path_factory):
    """(sample by our effects, the same by SoX) pairs with the same draws."""
    require_program("sox", "apt-get install sox")
    folder = tmp_path_factory.mktemp("corpora")
    ours, theirs = (manifest(source, folder / n, render={"engine": n}) for n in ("stylefx", "sox"))
    prepare(ours, ours.output, PrepareOptions(workers=0))
    plan = Path(ours.output) / "plan-0000.parquet"
    samples = [s for shard in plan_overview(plan) for s in read_shard(plan, shard.number)][:8]
    return [(render_sample(ours, s), render_sample(theirs, s)) for s in samples]


def test_the_same_draws_make_nearly_the_same_sounds(rendered):
    """Equalisers are the same filters; dynamics smooth otherwise."""
    apart = [measure(a.branches["target"], b.branches["target"], RATE)["mr_stft"] for a, b in rendered]
    distance = [measure(a.branches["input"], a.branches["target"], RATE)["mr_stft"] for a, _ in rendered]
    assert np.mean(apart) < 0.25 * np.mean(distance)
    assert any(not np.array_equal(a.branches["target"], b.branches["target"]) for a, b in rendered)


def test_the_recipe_names_the_engine_and_only_where_it_is_not_ours(rendered):
    for ours, theirs in rendered:
        assert "engine" not in json.dumps([ours.document["input"], ours.document["target"]])
        steps = [s for branch in ("input", "target") for s in theirs.document[branch] if s["step"] == "effect"]
        assert all(step["engine"] == "sox" for step in steps)
        plain = [{k: v for k, v in s.items() if k != "engine"} for s in steps]
        assert plain == [s for branch in ("input", "target") for s in ours.document[branch] if s["step"] == "effect"]


def test_the_environment_and_the_digest_know_the_engine(source, tmp_path):
    require_program("sox", "apt-get install sox")
    ours, theirs = manifest(source, tmp_path), manifest(source, tmp_path, render={"engine": "sox"})
    assert environment(theirs.rendered_with)["sox"].startswith("sox v")
    assert "sox" not in environment(ours.rendered_with)
    assert ours.recipe_digest() != theirs.recipe_digest()
    assert ours.recipe_digest() == manifest(source, tmp_path, render={"engine": "stylefx"}).recipe_digest()


def test_a_node_without_the_program_says_which_and_how_to_get_it(source, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = check_node(manifest(source, tmp_path, render={"engine": "sox"}).model_dump_json(), str(tmp_path / "c"), ())
    assert "apt-get install sox" in found["problem"]


def test_effects_that_the_engine_has_not_are_refused_when_the_manifest_is_read(source, tmp_path):
    reverb = {"target": [{"step": "effect", "effect": "reverb"}]}
    with pytest.raises(UserError, match=r"chains.target: sox has no counterpart of the effect 'reverb'"):
        _ = manifest(source, tmp_path, render={"engine": "sox"}, chains=reverb).resolved_chains


@pytest.mark.parametrize("path", PAPER, ids=lambda p: p.stem)
def test_the_papers_manifests_load_and_draw(path):
    loaded = load_manifest(path)
    assert loaded.render.engine == "sox"
    recipe = loaded.drawing.recipe(loaded.resolved_chains, "some-key")
    effects = [s for branch in ("input", "target") for s in recipe[branch] if s["step"] == "effect"]
    assert all(step["headroom"] is False for step in effects)
