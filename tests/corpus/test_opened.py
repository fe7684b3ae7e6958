"""A corpus in Python: samples one by one, tables as Arrow and pandas, and how a notebook shows it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import stylefx
from stylefx.errors import UserError
from tests.support.stored_corpus import make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened") / "corpus"
    make_corpus(folder, {"train": [3, 2], "test": [2]})
    return stylefx.open_corpus(folder)


def test_every_sample_is_visited_once_and_heard(corpus):
    samples = list(corpus)
    assert len(samples) == len(corpus) == len({s.key for s in samples})
    one = samples[0]
    np.testing.assert_array_equal(one.input, np.concatenate([one["a.input"], one["b.input"]], axis=1))
    assert one.target.shape == (corpus.channels, 2 * corpus.half_frames)
    assert corpus[one.key].ref == one.ref
    assert {s.split for s in corpus.select("train")} == {"train"}


def test_tables_are_arrow_and_pandas(corpus):
    table = corpus.arrow()
    assert isinstance(table, pa.Table)
    assert sorted(table["key"].to_pylist()) == sorted(s.key for s in corpus)
    assert corpus.arrow("train", columns=["key"]).column_names == ["key"]
    assert corpus.arrow(everything=True).num_rows >= table.num_rows
    frame = pytest.importorskip("pandas").DataFrame
    assert isinstance(corpus.pandas("train"), frame)


def test_a_notebook_shows_counts_players_and_spectra(corpus):
    html = corpus._repr_html_()
    assert html.count("<audio") >= 2
    assert "<polyline" in html
    assert "http" not in html


def test_what_is_not_there_is_said(corpus):
    with pytest.raises(UserError, match="no split 'tset'"):
        list(corpus.select("tset"))
    with pytest.raises(UserError, match="no sample 'x'"):
        corpus["x"]
