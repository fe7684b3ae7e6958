"""Filters: each rejection is counted once, by its first reason."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.catalog.filters import THRESHOLDS, drop_duplicates, threshold_reasons
from pipelines.manifest.model import Filters
from tests.support.planning import manifest, plan, recording

CASES = [
    ({"min_duration_s": 4.0}, {"seconds": 3.0}, "too short"),
    ({"max_duration_s": 8.0}, {"seconds": 9.0}, "too long"),
    ({"min_sample_rate": 8000}, {"rate": 4000}, "sample rate too low"),
    ({"min_lufs": -30.0}, {"lufs": -40.0}, "too quiet"),
    ({"min_lufs": -30.0}, {"lufs": -np.inf}, "too quiet"),
    ({"max_lufs": -10.0}, {"lufs": -9.0}, "too loud"),
    ({"max_silence_share": 0.5}, {"silence_share": 0.6}, "too much silence"),
    ({"max_clipping_share": 0.01}, {"clipping_share": 0.02}, "clipped"),
    ({"min_bandwidth_hz": 3000.0}, {"bandwidth_hz": 2000.0}, "bandwidth too small"),
    ({"max_dc": 0.05}, {"dc": 0.1}, "DC offset"),
    ({"min_correlation": 0.0}, {"correlation": -0.5}, "channels out of phase"),
    ({"max_correlation": 0.99}, {"correlation": 1.0}, "channels too alike"),
]


@pytest.mark.parametrize(("filters", "bad", "reason"), CASES, ids=[f"{c[2]} {i}" for i, c in enumerate(CASES)])
def test_a_threshold_leaves_out_what_is_beyond_it_and_counts_it(tmp_path, filters, bad, reason):
    odd = recording("odd.wav", 5.0) | bad
    good = recording("good.wav", 5.0) | {"correlation": 0.5}
    summary, samples, _ = plan(tmp_path, manifest(filters=filters), [odd, good])
    assert {s.parts[0].recording for s in samples} == {"s/good.wav"}
    assert summary.rejected == {reason: 1}
    kept = plan(tmp_path / "without", manifest(), [odd, good])[1]
    assert {s.parts[0].recording for s in kept} == {"s/good.wav", "s/odd.wav"}


def test_every_threshold_of_the_manifest_is_applied():
    assert set(THRESHOLDS) == set(Filters.model_fields)
    assert {next(iter(c[0])) for c in CASES} == set(Filters.model_fields)


def test_only_the_first_reason_counts_and_undefined_values_pass():
    columns = {"duration_s": np.array([1.0, 9.0, 9.0]), "lufs": np.array([-50.0, -50.0, np.nan])}
    codes, reasons = threshold_reasons(Filters(min_duration_s=2.0, min_lufs=-30.0), columns)
    assert [reasons[c] if c >= 0 else None for c in codes] == ["too short", "too quiet", None]


def test_duplicates_are_found_like_a_dictionary_finds_them():
    rng = np.random.default_rng(0)
    content = rng.integers(0, 40, (500, 2)).astype(np.uint64) % np.array([40, 3], np.uint64)
    identity = rng.permutation(500).astype(np.uint64)
    best: dict = {}
    for i in np.argsort(identity):
        best.setdefault(tuple(content[i]), i)
    expected = np.ones(500, bool)
    expected[list(best.values())] = False
    assert (drop_duplicates(content, identity) == expected).all()
