"""Ridge regression from band averages to an equaliser curve, trained across content: what a reference of other content can tell.

Training pairs are made of averages alone: content from one group, reference from another group of the same kind, a drawn
curve added to the reference's averages in dB; the answer is the curve. No audio is rendered, so thousands of pairs cost a
second. The strength of the shrinkage is chosen on held-out groups. Where the reference does not tell, the answer shrinks to
nothing: that is what a network has to learn too, and this says first what is reachable with averages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylefx import keyed
from stylefx.corpus.reader import Corpus
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.evaluation.content import dry_half
from stylefx.evaluation.pairs import Pair, choose
from stylefx.evaluation.systems.bands import BANDS, at_loudness_of, band_averages, band_centres_hz, fit_equaliser
from stylefx.evaluation.systems.base import System, SystemOutput
from stylefx.evaluation.systems.ridge_curves import draw_curves, smooth_curves, units

TRAINING_SPLIT = "train"
PAIRS = 8000
SHRINKAGE = (1e3, 3e3, 1e4, 3e4, 1e5)
MIN_GROUPS = 4  # a kind with fewer is learned together with the others
_SMOOTH_DB = 2.0
_PROCESSED, _PROCESSED_BY = 0.3, 0.7  # contents that were processed before, and how much


@dataclass(frozen=True)
class Regression:
    """Standardisation and weights of one kind."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray  # (features + 1, 80)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n, features) -> curves in dB (n, 80)."""
        x = (features - self.mean) / self.scale
        return np.concatenate([x, np.ones((len(x), 1))], axis=1) @ self.weights


class Ridge(System):
    """The regression's curve, by the chain's own bands, at the reference's loudness; no compression."""

    name, title = "ridge", "ridge regression"

    def __init__(self, chain: EffectChain, regressions: dict[str, Regression], parallel_map: Callable[..., Any] = map):
        self.chain, self.regressions, self.map = chain, regressions, parallel_map

    @classmethod
    def from_corpus(
        cls, chain: EffectChain, corpus: Corpus, items: int, seed: int, parallel_map: Callable[..., Any] = map
    ) -> Ridge:
        """Trained on at most ``items`` halves of the training split."""
        averages, kinds, groups = read_averages(corpus, items, parallel_map)
        centres = band_centres_hz(float(corpus.sample_rate))
        return cls(chain, fit_kinds(averages, kinds, groups, centres, seed), parallel_map)

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        return list(self.map(self._one, pairs))

    def curve_db(self, pair: Pair) -> np.ndarray:
        sides = (band_averages(x, pair.sample_rate)[None] for x in (pair.input, pair.reference))
        return self.regressions.get(pair.label, self.regressions[""])(features(*sides))[0]

    def _one(self, pair: Pair) -> SystemOutput:
        if not (np.any(pair.input) and np.any(pair.reference)):
            return SystemOutput(np.array(pair.input, np.float32), self.chain.complete(None))
        entries = fit_equaliser(self.chain, self.curve_db(pair), pair.sample_rate)
        return SystemOutput(*at_loudness_of(self.chain, pair.input, entries, pair.reference, pair.sample_rate))


def read_averages(corpus: Corpus, items: int, parallel_map: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Band averages (n, 3, 80), kinds (n,) and groups (n,) of halves without effects, where the corpus stores such."""
    refs = choose(corpus.samples(TRAINING_SPLIT), items)
    halves = ["a" if keyed.unit("ridge half", ref.key) < 0.5 else "b" for ref in refs]
    rows = parallel_map(lambda one: band_averages(dry_half(corpus, *one), corpus.sample_rate), zip(refs, halves, strict=True))
    return np.stack(list(rows)), np.array([r.label or "" for r in refs]), np.array([r.group for r in refs])


def fit_kinds(
    averages: np.ndarray, kinds: np.ndarray, groups: np.ndarray, centres_hz: np.ndarray, seed: int
) -> dict[str, Regression]:
    """One regression per kind with enough groups, and one over everything (key "") for the others."""
    out = {}
    for kind in ["", *sorted(set(kinds.tolist()) - {""})]:
        mine = np.ones(len(kinds), bool) if kind == "" else kinds == kind
        if len(set(groups[mine])) >= MIN_GROUPS:
            out[kind] = _fit(averages[mine], kinds[mine], groups[mine], centres_hz, seed)
    if "" not in out:
        raise UserError(
            f"the baseline 'ridge' needs a training split of at least {MIN_GROUPS} groups, the corpus has "
            f"{len(set(groups))}; leave it out"
        )
    return out


def _fit(averages: np.ndarray, kinds: np.ndarray, groups: np.ndarray, centres_hz: np.ndarray, seed: int) -> Regression:
    """Choose the shrinkage on a quarter of the groups, then fit on all."""
    names = sorted(set(groups.tolist()), key=lambda g: keyed.integer("ridge group", g))
    held = np.isin(groups, names[: max(2, len(names) // 4)])
    strength = SHRINKAGE[len(SHRINKAGE) // 2]
    if len(set(groups[~held])) > 1:
        train = make_pairs(averages[~held], kinds[~held], groups[~held], centres_hz, PAIRS // 2, seed)
        test = make_pairs(averages[held], kinds[held], groups[held], centres_hz, PAIRS // 6, seed + 1)
        strength = min(SHRINKAGE, key=lambda s: np.abs(solve(*train, s)(test[0]) - test[1]).mean())
    return solve(*make_pairs(averages, kinds, groups, centres_hz, PAIRS, seed), strength)


def make_pairs(
    averages: np.ndarray, kinds: np.ndarray, groups: np.ndarray, centres_hz: np.ndarray, pairs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features (pairs, 640) of drawn pairs across groups, and the curves to find (pairs, 80). Groups are drawn evenly."""
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (kind, group) in enumerate(zip(kinds.tolist(), groups.tolist(), strict=True)):
        members[kind][group].append(i)
    usable = [(kind, sorted(found)) for kind, found in sorted(members.items()) if len(found) > 1]
    if not usable:
        raise UserError("the baseline 'ridge' needs two groups of one kind (label) in the training split; leave it out")
    index = _draw_pairs(keyed.Draw(seed, "ridge pairs", str(pairs)), usable, members, pairs)
    content, other = averages[index[:, 0]].copy(), averages[index[:, 1]].copy()
    draw = keyed.Draw(seed, "ridge curves", str(pairs))
    curves, before = (draw_curves(draw, pairs, centres_hz) for _ in range(2))
    before *= _PROCESSED_BY * (units(draw, pairs, 1) < _PROCESSED)
    for side, curve in ((content, before), (other, curves)):
        side[:, :2] += (curve + smooth_curves(draw, pairs, BANDS, _SMOOTH_DB))[:, None]
    return features(content, other), curves - before


def _draw_pairs(draw: keyed.Draw, usable: list[Any], members: dict[str, Any], pairs: int) -> np.ndarray:
    """Rows of content and reference, int (pairs, 2): kinds in turn, groups evenly, never one group twice."""
    rows = []
    for n, u in enumerate(units(draw, pairs, 4)):
        kind, names = usable[n % len(usable)]
        first = int(u[0] * len(names))
        second = (first + 1 + int(u[1] * (len(names) - 1))) % len(names)
        sides = [members[kind][names[k]] for k in (first, second)]
        rows.append([side[int(v * len(side))] for side, v in zip(sides, u[2:], strict=True)])
    return np.array(rows)


def features(content: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Averages of both sides (n, 3, 80) -> (n, 640): levels without their mean, spreads, and the differences of the levels."""
    sides = []
    for side in (content, reference):
        level = side[:, :1].mean(axis=2, keepdims=True)
        sides.append(np.concatenate([side[:, :2] - level, side[:, 2:]], axis=1))
    difference = sides[1][:, :2] - sides[0][:, :2]
    return np.concatenate([x.reshape(len(x), -1) for x in (*sides, difference)], axis=1)


def solve(x: np.ndarray, y: np.ndarray, strength: float) -> Regression:
    """Ridge regression on standardised features; the constant is shrunk like the rest."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    z = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    weights = np.linalg.solve(z.T @ z + strength * np.eye(z.shape[1]), z.T @ y)
    return Regression(mean, scale, weights)
