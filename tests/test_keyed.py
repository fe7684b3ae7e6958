"""Keyed randomness: the promises that sameness rests on."""

import numpy as np
import pytest
from scipy import stats

from stylefx.keyed import Draw, digest, hex_digest, integer, philox, unit


def test_draws_are_the_same_for_ever():
    """Frozen values: a change of any of them changes every corpus."""
    draw = Draw(1, "tempo", "speech/a.wav")
    assert [int(w) for w in draw.words(2)] == [8776088477970230867, 2329300253398433983]
    assert (draw.uniform(0, 1), draw.normal(0, 1)) == (0.116862097, 0.644785786)
    assert hex_digest("ab", "c") == "4826ed043ab3cdec576d8541fa5d5a80"


@pytest.mark.parametrize("taken", range(7))
def test_words_are_numpys_philox_however_they_are_taken(taken):
    """One by one, the first four without numpy's generator, then many at a time, then one by one again."""
    for identity in ("", "a", "speech/ä.wav"):
        key = np.frombuffer(digest(5, "purpose", identity), "<u8")
        expected = [int(w) for w in np.random.Philox(key=key, counter=[0, 0, 0, 0]).random_raw(taken + 5)]
        draw = Draw(5, "purpose", identity)
        units = [draw.unit() for _ in range(taken)]
        words = [int(w) for w in draw.words(3)]
        units += [draw.unit(), draw.unit()]
        assert words == expected[taken : taken + 3]
        assert units == [(w >> 11) * 2.0**-53 for w in expected[:taken] + expected[taken + 3 :]]


def test_philox_gives_the_known_answers():
    """Of Random123's kat_vectors: philox4x64, 10 rounds."""
    ones = (1 << 64) - 1
    assert philox((0, 0, 0, 0), (0, 0))[:2] == (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC)
    assert philox((ones,) * 4, (ones,) * 2)[:2] == (0x87B092C3013FE90B, 0x438C3C67BE8D0224)


def test_a_seed_is_what_it_is_written_as():
    """1, 1.0 and True are equal and hash alike, and are three seeds."""
    draws = [Draw(seed, "gain", "k").unit() for seed in (1, 1.0, True)]
    assert len(set(draws)) == 3


def test_parts_are_kept_apart():
    assert hex_digest("ab", "c") != hex_digest("a", "bc")


def test_purposes_seeds_and_identities_are_independent():
    values = {
        Draw(seed, purpose, identity).unit() for seed in (0, 1) for purpose in ("pitch", "tempo") for identity in ("x", "y")
    }
    assert len(values) == 8


def test_order_of_use_elsewhere_changes_nothing():
    first = Draw(3, "gain", "k").uniform(-6, 6)
    Draw(3, "other", "k").words(100)
    assert Draw(3, "gain", "k").uniform(-6, 6) == first


@pytest.mark.parametrize(
    ("sample", "distribution"),
    [
        (lambda d: d.uniform(-2.0, 5.0), stats.uniform(-2.0, 7.0)),
        (lambda d: d.log_uniform(20.0, 2000.0), stats.loguniform(20.0, 2000.0)),
        (lambda d: d.normal(3.0, 2.0), stats.norm(3.0, 2.0)),
    ],
    ids=["uniform", "log_uniform", "normal"],
)
def test_distributions_are_what_they_are_called(sample, distribution):
    values = [sample(Draw(7, "ks", str(i))) for i in range(4000)]
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-3


def test_chance_integer_and_choice_have_their_probabilities():
    n = 6000
    assert np.mean([Draw(1, "p", str(i)).chance(0.3) for i in range(n)]) == pytest.approx(0.3, abs=0.02)
    counts = np.bincount([Draw(1, "n", str(i)).integer(0, 3) for i in range(n)], minlength=4)
    assert stats.chisquare(counts).pvalue > 1e-3
    picks = [Draw(1, "c", str(i)).choice("abc", [1, 2, 1]) for i in range(n)]
    assert stats.chisquare([picks.count(c) for c in "abc"], [n / 4, n / 2, n / 4]).pvalue > 1e-3


def test_integer_and_unit_use_the_whole_key():
    assert integer("a", 1) != integer("a", 2)
    assert 0.0 <= unit("a", 1) < 1.0
