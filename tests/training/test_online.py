"""Online rendering: settings keyed by sample and epoch, audio equal to the exact effects, training from dry halves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylefx.effects.registry import make_effect
from stylefx.training.online import OnlineRenderer
from stylefx.training.online_recipe import RECIPE, draw_settings
from tests.corpus.make_corpus import speechlike
from tests.training.conftest import go, losses, small

PEAK = 10 ** (-12 / 20)


def dry_batch(n=3, samples=24000):
    rng = np.random.default_rng(0)
    whole = np.stack([speechlike(rng, 2 * samples, 24000) for _ in range(n)])
    return torch.from_numpy(whole[..., :samples].copy()), torch.from_numpy(whole[..., samples:].copy())


def exact(halves, branch, seed, epoch, key):
    """The branch by the NumPy effects, peaks taken over both halves together."""

    def normalised(parts):
        peak = max(np.abs(p).max() for p in parts)
        return [p * np.float32(PEAK / peak) for p in parts]

    parts = normalised(halves)
    for (effect, _, _), settings in zip(RECIPE[branch], draw_settings(seed, epoch, key, branch, 24000), strict=True):
        if settings is not None:
            parts = [make_effect(effect).render(p, settings, 24000) for p in parts]
        parts = normalised(parts)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(1200) + 0.5) / 1200)
    shape = np.concatenate([ramp, np.ones(parts[0].shape[1] - 2400), ramp[::-1]])
    return normalised([(p * shape).astype(np.float32) for p in parts])


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_the_render_is_that_of_the_exact_effects(epoch):
    dry, reference = dry_batch()
    keys = ["s-1", "s-2", "s-3"]
    got = OnlineRenderer(5, 24000)(dry, reference, keys, [epoch] * 3)
    for i, key in enumerate(keys):
        target, other = exact([dry[i].numpy(), reference[i].numpy()], "target", 5, epoch, key)
        [source] = exact([dry[i].numpy()], "input", 5, epoch, key)
        for name, want in (("target", target), ("reference", other), ("input", source)):
            error = np.linalg.norm(got[name][i].numpy() - want) / np.linalg.norm(want)
            assert error < 1e-4, (name, key)


def test_settings_depend_on_sample_and_epoch_and_on_nothing_else():
    dry, reference = dry_batch()
    render = OnlineRenderer(5, 24000)
    together = render(dry, reference, ["a", "b", "c"], [0, 0, 1])
    alone = render(dry[1:2], reference[1:2], ["b"], [0])
    assert torch.equal(together["target"][1:2], alone["target"])
    later = render(dry, reference, ["a", "b", "c"], [4, 4, 4])
    assert all((together[n] - later[n]).abs().max() > 1e-3 for n in ("input", "target", "reference"))
    assert together["target"].abs().amax(dim=(1, 2)).max() == pytest.approx(PEAK, rel=1e-4)
    assert together["target"][..., 0].abs().max() < 1e-4  # faded


def test_effects_are_drawn_as_often_as_the_paper_says():
    drawn = {b: [draw_settings(1, 0, f"k{i}", b, 24000) for i in range(1500)] for b in RECIPE}
    for branch, steps in RECIPE.items():
        for number, (_, _, probability) in enumerate(steps):
            share = np.mean([d[number] is not None for d in drawn[branch]])
            assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / 1500)


def test_training_from_dry_halves_runs_and_resumes_bit_for_bit(corpus, tmp_path):
    config = small(corpus, data__render="online", steps=4)
    go(config, tmp_path / "whole")
    go(small(corpus, data__render="online", steps=2), tmp_path / "run")
    first = losses(tmp_path / "run")
    assert [r for r in first if dict(r)["kind"] == "train"] == losses(tmp_path / "whole")[:2]
    go(config, tmp_path / "run", resume=True)
    train = [[r for r in losses(tmp_path / n) if dict(r)["kind"] == "train"] for n in ("run", "whole")]
    assert train[0] == train[1]
