"""Linear probes: multinomial logistic regression on frozen features, by L-BFGS in float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from stylefx import keyed

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class Probe:
    """Standardisation and weights; ``classes`` gives the meaning of the columns."""

    classes: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray  # (features, classes)
    bias: np.ndarray
    penalty: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(items, features) -> class names (items,)."""
        scores = (features - self.mean) / self.scale @ self.weights + self.bias
        return np.array(self.classes)[scores.argmax(axis=1)]


def fit_probe(features: np.ndarray, labels: Sequence[str] | np.ndarray, penalty: float) -> Probe:
    """Minimise mean cross-entropy + penalty / 2 |weights|^2 on standardised features (items, features); the bias is free."""
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    classes, index = np.unique(labels, return_inverse=True)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 1e-9 * max(1e-30, deviation.max()), deviation, 1.0)
    x, truth = (features - mean) / scale, np.eye(len(classes))[index]
    shape = (x.shape[1], len(classes))

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        scores = x @ weights + bias
        scores -= scores.max(axis=1, keepdims=True)
        total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
        loss = float((total[:, 0] - (scores * truth).sum(axis=1)).mean() + 0.5 * penalty * np.square(weights).sum())
        slope = (np.exp(scores - total) - truth) / len(x)
        return loss, np.concatenate([(x.T @ slope + penalty * weights).ravel(), slope.sum(axis=0)])

    start = np.zeros(shape[0] * shape[1] + shape[1])
    flat = scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Probe(tuple(classes.tolist()), mean, scale, flat[: -shape[1]].reshape(shape), flat[-shape[1] :], penalty)


def fit_with_held_out_groups(features: np.ndarray, labels: Sequence[str] | np.ndarray, groups: Sequence[str]) -> Probe:
    """Choose the penalty on a quarter of the groups (keyed by their names), then fit on all.

    With fewer than four groups nothing is held out and the middle penalty is taken.
    """
    labels, names_of = np.asarray(labels), np.asarray(groups)
    names = sorted(set(names_of.tolist()), key=lambda name: keyed.integer("probe group", name))
    held = np.isin(names_of, names[: len(names) // 4])
    if not held.any() or len(set(labels[~held])) < len(set(labels)):
        return fit_probe(features, labels, PENALTIES[len(PENALTIES) // 2])
    scores = [np.mean(fit_probe(features[~held], labels[~held], p).predict(features[held]) == labels[held]) for p in PENALTIES]
    best = max(range(len(PENALTIES)), key=lambda i: (scores[i], PENALTIES[i]))
    return fit_probe(features, labels, PENALTIES[best])


def band_levels_db(audio: np.ndarray, sample_rate: float, bands: int = 24) -> np.ndarray:
    """A plain description to compare embeddings with: levels in ERB bands of the average spectrum, dB, (bands,)."""
    from stylefx.audio.spectra import average_power
    from stylefx.effects.curves import erb_grid

    frequency, power = average_power(audio, sample_rate)
    edges = np.searchsorted(frequency, erb_grid(40.0, 0.5 * sample_rate, bands + 1))
    means = [power[low : max(high, low + 1)].mean() for low, high in itertools.pairwise(edges)]
    return 10 * np.log10(np.maximum(means, 1e-14))
