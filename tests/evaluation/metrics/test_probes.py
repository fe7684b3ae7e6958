"""Our logistic regression equals scikit-learn's; retrieval ranks are what a slow count gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from stylefx.evaluation.metrics.probes import fit_probe, fit_with_held_out_groups
from stylefx.evaluation.protocols.retrieval import match_ranks, other_contents


def blobs(count: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(4, 6)) * [1, 10, 0.1, 1, 1, 1]
    labels = rng.integers(0, 4, count)
    features = centres[labels] + spread * rng.normal(size=(count, 6)) * [1, 10, 0.1, 1, 1, 1]
    return features, np.array(["a", "b", "c", "d"])[labels]


@pytest.mark.parametrize("penalty", [1e-3, 1e-1])
def test_the_probe_equals_scikit_learns(penalty):
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = blobs(200, 1.0)
    test, _ = blobs(300, 1.0, seed=1)
    ours = fit_probe(features, labels, penalty)
    scaled, scaled_test = ((x - features.mean(0)) / features.std(0) for x in (features, test))
    # sklearn minimises the sum of losses x C + 1/2 |w|^2
    theirs = linear_model.LogisticRegression(C=1 / (penalty * 200), tol=1e-8, max_iter=5000).fit(scaled, labels)
    assert (ours.predict(test) == theirs.predict(scaled_test)).mean() > 0.995
    centred = ours.weights.T - ours.weights.T.mean(axis=0)
    np.testing.assert_allclose(centred, theirs.coef_ - theirs.coef_.mean(axis=0), atol=0.02)


def test_constant_features_and_separable_classes_are_no_trouble():
    features, labels = blobs(80, 0.01)
    features = np.concatenate([features, np.full((80, 1), 7.0)], axis=1)
    probe = fit_probe(features, labels, 1e-3)
    assert (probe.predict(features) == labels).all()
    assert np.isfinite(probe.weights).all()


def test_the_penalty_is_chosen_on_groups_of_their_own():
    rng = np.random.default_rng(0)
    features, labels = blobs(160, 1.5)
    groups = [f"speaker{i}" for i in np.arange(160) % 8]
    leak = np.eye(8)[np.arange(160) % 8] * 5 + 0.01 * rng.normal(size=(160, 8))
    probe = fit_with_held_out_groups(np.concatenate([features, leak], axis=1), labels, groups)
    test, truth = blobs(400, 1.5, seed=2)
    accuracy = (probe.predict(np.concatenate([test, np.zeros((400, 8))], axis=1)) == truth).mean()
    assert accuracy > 0.5
    assert fit_with_held_out_groups(features[:6], labels[:6], ["one"] * 6).penalty == 1e-2


def test_ranks_equal_a_slow_count_and_ties_count_against():
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(30, 5))
    query = gallery + 1.2 * rng.normal(size=(30, 5))
    q, g = query - query.mean(0), gallery - gallery.mean(0)
    expected = []
    for i in range(30):
        scores = [q[i] @ g[j] / np.linalg.norm(q[i]) / np.linalg.norm(g[j]) for j in range(30)]
        expected.append(1 + sum(s > scores[i] for s in scores))
    np.testing.assert_array_equal(match_ranks(query, gallery), expected)
    assert (match_ranks(query, query) == 1).all()
    assert (match_ranks(np.ones((4, 3)), np.ones((4, 3))) == 4).all()


@dataclass(frozen=True)
class Ref:
    key: str
    group: str


@pytest.mark.parametrize("sizes", [[1] * 9, [3, 3, 3], [4, 2, 2], [2, 1]])
def test_other_contents_are_of_other_groups_where_that_is_possible(sizes):
    refs = [Ref(f"{g}-{i}", f"g{g}") for g, size in enumerate(sizes) for i in range(size)]
    partners = other_contents(refs, seed=0)
    assert sorted(p.key for p in partners) == sorted(r.key for r in refs)
    assert all(p.key != r.key for p, r in zip(partners, refs, strict=True))
    if max(sizes) * 2 <= len(refs):
        assert all(p.group != r.group for p, r in zip(partners, refs, strict=True))
