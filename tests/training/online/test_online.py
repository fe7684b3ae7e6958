"""Online rendering: any chain, keyed by sample and epoch, the audio that a corpus of these chains would hold."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError
from stylefx.recipes.chains import Chains, Level, NothingToDo
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import preset_names, resolve_chains
from stylefx.recipes.steps import apply_steps
from stylefx.training.online.render import OnlineRenderer
from stylefx.training.setup import open_corpora, training_set
from tests.support.stored_corpus import make_corpus, speechlike
from tests.training.conftest import go, losses, small

RATE = 24000
PEAK = 10 ** (-12 / 20)


def halves(n=3, samples=24000):
    rng = np.random.default_rng(0)
    whole = [speechlike(rng, 2 * samples, RATE) for _ in range(n)]
    return [(w[:, :samples].copy(), w[:, samples:].copy()) for w in whole]


def renderer(preset="deepafx-st", seed=5, level=None, nothing=0.0) -> OnlineRenderer:
    level = level or Level(peak_dbfs=-12.0)
    drawing = Drawing(seed, RATE, level, nothing_to_do=NothingToDo(share=nothing))
    return OnlineRenderer(resolve_chains(preset, None, (), RATE), drawing)


def exact(parts, steps):
    """A branch by the effects alone, peaks of all parts taken together; written down once more, from the recipe's text."""

    def normalised(parts):
        peak = max(np.abs(p).max() for p in parts)
        return [p * np.float32(PEAK / peak) for p in parts]

    parts = normalised(parts)
    for step in steps:
        if step["step"] == "effect":
            parts = [make_effect(step["effect"], **step["config"]).render(p, step["settings"], RATE) for p in parts]
        elif step["step"] == "normalise":
            parts = normalised(parts)
        else:
            n = round(step["ms"] * RATE / 1000)
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
            shape = np.concatenate([ramp, np.ones(parts[0].shape[1] - 2 * n), ramp[::-1]])
            parts = [(p * shape).astype(np.float32) for p in parts]
    return parts


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_halves_of_one_recording_share_their_levels_and_other_content_has_its_own(epoch):
    render = renderer()
    for (a, b), key in zip(halves(), ("s-1", "s-2", "s-3"), strict=True):
        recipe = render.recipe(key, epoch)
        for other, want in ((False, exact([a, 0.3 * b], recipe["target"])), (True, None)):
            got, marks = render(key, epoch, a, 0.3 * b, other)
            if other:
                want = [*exact([a], recipe["target"]), *exact([0.3 * b], recipe["target"])]
                assert np.abs(got["reference"]).max() == pytest.approx(PEAK, rel=1e-5)
            assert marks.reference_other == other
            for name, audio in zip(("target", "reference", "input"), [*want, *exact([a], recipe["input"])], strict=True):
                assert np.linalg.norm(got[name] - audio) < 1e-4 * np.linalg.norm(audio), (name, key)


def test_draws_depend_on_sample_and_epoch_and_on_nothing_else():
    [(a, b), *_] = halves()
    render = renderer()
    first = render("k", 0, a, b, False)[0]
    render("another", 3, b, a, True)
    again, later = render("k", 0, a, b, False)[0], render("k", 4, a, b, False)[0]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert all(np.abs(first[name] - later[name]).max() > 1e-3 for name in first)


@pytest.mark.parametrize("preset", preset_names())
def test_settings_are_distributed_like_those_of_a_stored_corpus(preset):
    """A corpus draws by key alone, training by epoch and key, with another seed: both give the same effects as often, and
    every parameter the same distribution."""
    chains, level = resolve_chains(preset, None, (), RATE), Level(peak_dbfs=-12.0)
    stored = [Drawing(1, RATE, level).recipe(chains, f"k{i}") for i in range(400)]
    online = [renderer(preset, seed=2).recipe(f"k{i % 100}", i // 100) for i in range(400)]
    for branch in ("input", "target"):
        counts = [
            Counter(s["effect"] for r in recipes for s in r[branch] if s["step"] == "effect") for recipes in (stored, online)
        ]
        values: list[dict[tuple, list]] = [{}, {}]
        for found, recipes in zip(values, (stored, online), strict=True):
            for step in (s for r in recipes for s in r[branch] if s["step"] == "effect"):
                for name, value in step["settings"].items():
                    found.setdefault((step["effect"], name), []).append(value)
        assert values[0].keys() == values[1].keys()
        for effect in counts[0]:
            assert abs(counts[0][effect] - counts[1][effect]) < 5 * np.sqrt(counts[0][effect] + 10)
        for name in values[0]:
            assert scipy.stats.ks_2samp(values[0][name], values[1][name]).pvalue > 1e-6, (branch, name)


def test_where_there_is_nothing_to_do_the_input_is_the_target():
    [(a, b), *_] = halves(1)
    render, kinds = renderer(nothing=0.5), Counter()
    for i in range(60):
        got, marks = render(f"k{i}", 0, a, b, bool(i % 2))
        recipe = render.recipe(f"k{i}", 0)
        kinds[recipe["nothing_to_do"]] += 1
        assert marks.nothing_to_do == bool(recipe["nothing_to_do"])
        effects = any(s["step"] == "effect" for s in (*recipe["input"], *recipe["target"]))
        assert np.array_equal(got["input"], got["target"]) == (marks.nothing_to_do or not effects)
    assert 15 < kinds[""] < 45
    assert min(kinds["same"], kinds["neutral"]) > 5


def test_the_level_convention_is_obeyed():
    from stylefx.audio import integrated_lufs

    [(a, b), *_] = halves(1, 48000)
    got, _ = renderer(level=Level(lufs=-30.0))("k", 0, a, b, True)
    for name in ("input", "target", "reference"):
        assert integrated_lufs(got[name], RATE) == pytest.approx(-30.0, abs=1e-3)


def run_data(path: Path, **changes) -> TrainingSet:
    config = small(path, **{"data__render": "online"} | changes)
    return training_set(config, open_corpora(config))


def test_a_run_draws_the_chains_of_its_corpus_unless_others_are_named(corpus):
    data = run_data(corpus)
    [render] = data.pairs.renderers.values()
    assert render.chains == resolve_chains("deepafx-st", None, (), RATE)
    assert render.drawing == Drawing(3, RATE, Level(peak_dbfs=-12.0))
    [render] = run_data(corpus, data__online={"preset": "styles", "nothing_to_do": 0.15}).pairs.renderers.values()
    assert render.chains.styles
    assert render.drawing.nothing_to_do.share == 0.15
    own = {"input": [], "target": [{"step": "effect", "effect": "gain", "settings": {"gain_db": -3}}]}
    [render] = run_data(corpus, data__online={"chains": own}).pairs.renderers.values()
    assert render.chains.target == Chains.model_validate(own).target
    assert render.chains.finish == resolve_chains("deepafx-st", None, (), RATE).finish


def test_batches_say_what_their_items_are(corpus):
    online = {"preset": "styles", "reference": {"from": "both", "share": 0.5}, "nothing_to_do": 0.3}
    batches = list(TrainingLoader(run_data(corpus, data__online=online), micro=8, workers=2, stop_step=6))
    marks = [(o, n) for b in batches for o, n in zip(b.reference_other.tolist(), b.nothing_to_do.tolist(), strict=True)]
    assert {o for o, _ in marks} == {n for _, n in marks} == {False, True}
    assert {label for b in batches for label in b.labels} <= {"neutral", "broadcast", "telephone", "bright", "warm"}
    for b in batches:
        same = [np.array_equal(x, y) for x, y in zip(b.input, b.target, strict=True)]
        assert same == b.nothing_to_do.tolist()


def test_what_cannot_be_drawn_is_refused_with_the_cure(corpus, tmp_path):
    with pytest.raises(UserError, match=r"data\.online counts only with data\.render: online"):
        small(corpus, data__online={"preset": "styles"})
    with pytest.raises(UserError, match="there is no preset 'style'; did you mean 'styles'"):
        run_data(corpus, data__online={"preset": "style"})
    wet = make_corpus(tmp_path / "wet", {"train": [2]})
    with pytest.raises(UserError, match="stores no dry halves"):
        run_data(wet)


def test_training_from_dry_halves_runs_and_resumes_bit_for_bit(corpus, tmp_path):
    changes = {"data__render": "online", "data__online": {"reference": {"from": "both"}, "nothing_to_do": 0.2}}
    config = small(corpus, steps=4, **changes)
    go(config, tmp_path / "whole")
    go(small(corpus, steps=2, **changes), tmp_path / "run")
    first = losses(tmp_path / "run")
    assert [r for r in first if dict(r)["kind"] == "train"] == losses(tmp_path / "whole")[:2]
    go(config, tmp_path / "run", resume=True)
    train = [[r for r in losses(tmp_path / n) if dict(r)["kind"] == "train"] for n in ("run", "whole")]
    assert train[0] == train[1]
    assert json.loads(json.dumps(train[0]))


def test_stored_recipes_are_rendered_in_float_for_training(corpus):
    """The made corpus states no recipes, so they are those of its manifest."""
    config = small(corpus, data__render="recipe")
    data = training_set(config, open_corpora(config))
    drawing = Drawing(11, RATE, Level(peak_dbfs=-12.0))
    chains = resolve_chains("deepafx-st", None, (), RATE)
    for position in range(4):
        item = data.item(position)
        audio, marks = data.read(item)
        dry = item.corpus.read(item.ref, ["a.dry", "b.dry"])
        recipe = drawing.recipe(chains, item.ref.key)
        whole, _ = apply_steps(np.concatenate([dry["a.dry"], dry["b.dry"]], axis=1), recipe["target"], RATE)
        first = whole[:, : data.half_frames]
        assert np.array_equal(audio["target" if item.half == "a" else "reference"], first)
        assert not marks.reference_other


def test_the_level_of_a_run_is_in_its_checkpoint_and_heard_by_transfer(corpus, tmp_path):
    """A model that was trained behind -23 LUFS hears its windows there, and says so in the settings that it makes."""
    from stylefx.audio import integrated_lufs, write_audio
    from stylefx.audio.levels import LevelConvention
    from stylefx.inference.transfer import StyleTransfer

    config = small(corpus, steps=1, data__render="online", data__online={"preset": "production"})
    go(config, tmp_path / "run")
    [(a, b), *_] = halves(1, 48000)
    for name, audio in (("a.wav", a), ("b.wav", 0.2 * b)):
        write_audio(tmp_path / name, audio, RATE, "float32")
    style = StyleTransfer(tmp_path / "run")
    assert style.model.level == LevelConvention("lufs", -23.0)
    for window in style.hear(tmp_path / "b.wav").windows:
        assert integrated_lufs(window.audio, RATE) == pytest.approx(-23.0, abs=0.05)
    settings = style.settings(tmp_path / "a.wav", [tmp_path / "b.wav"])
    louder = write_audio(tmp_path / "c.wav", 0.5 * a, RATE, "float32")
    assert louder == 0.0
    moved = style.settings(tmp_path / "c.wav", [tmp_path / "b.wav"])
    difference = settings.settings[1]["settings"]["threshold_db"] - moved.settings[1]["settings"]["threshold_db"]
    assert difference == pytest.approx(20 * np.log10(2), abs=0.05)
    assert settings.about["level"] == {"lufs": -23.0}


def test_corpora_of_different_levels_are_not_mixed(corpus, tmp_path):
    other = make_corpus(tmp_path / "other", {"train": [3], "val": [2]}, half_frames=20000, dry=True, seed=5)
    description = json.loads((other / "corpus.json").read_text())
    description["manifest"]["level"] = {"lufs": -23.0}
    (other / "corpus.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"pairs of different levels .*-12 dBFS.*-23 LUFS"):
        go(small(corpus, data__corpora=[str(corpus), str(other)], steps=1), tmp_path / "run")
