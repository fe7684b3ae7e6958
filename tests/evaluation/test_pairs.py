"""Which samples, which half: functions of the keys, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.pairs import batches, choose, held_out, processed_half, read_pair


def test_half_of_the_keys_process_each_half():
    halves = [processed_half(f"made-{i:016x}-00000") for i in range(2000)]
    assert 0.46 < halves.count("a") / 2000 < 0.54
    assert processed_half("made-0000000000000007-00000") == processed_half("made-0000000000000007-00000")


def test_input_and_target_are_one_half_and_the_reference_the_other(corpus_path):
    corpus = open_corpus(corpus_path)
    seen = set()
    for ref in corpus.samples("test"):
        pair = read_pair(corpus, ref)
        other = "b" if pair.half == "a" else "a"
        truth = corpus.read(ref, [f"{pair.half}.input", f"{pair.half}.target", f"{other}.target"])
        np.testing.assert_array_equal(pair.input, truth[f"{pair.half}.input"])
        np.testing.assert_array_equal(pair.target, truth[f"{pair.half}.target"])
        np.testing.assert_array_equal(pair.reference, truth[f"{other}.target"])
        seen.add(pair.half)
    assert seen == {"a", "b"}


def test_the_choice_of_items_ignores_the_corpus_order_and_grows(corpus_path):
    refs = open_corpus(corpus_path).samples("test")
    few = choose(refs, 3)
    assert choose(refs[::-1], 3) == few
    assert len(few) == 3
    assert {r.key for r in few} <= {r.key for r in choose(refs, 5)}
    assert len(choose(refs, 99)) == len(refs)


def test_batches_hold_every_item_once_in_the_order_of_the_keys(corpus_path):
    corpus = open_corpus(corpus_path)
    found = [[p.key for p in batch] for batch in batches(corpus, held_out(corpus.samples("test"), "test"), 3)]
    assert [len(b) for b in found] == [3, 3, 2]
    assert [key for batch in found for key in batch] == sorted(r.key for r in corpus.samples("test"))


def test_no_items_is_refused(corpus_path):
    corpus = open_corpus(corpus_path)
    with pytest.raises(UserError, match="at least 1"):
        held_out(corpus.samples("test"), "test", 0)
    with pytest.raises(UserError, match="no split 'val'"):
        held_out(corpus.samples("val"), "val")


def test_only_the_sources_that_are_named_are_measured(corpus_path):
    corpus = open_corpus(corpus_path)
    sources = {ref.source for ref in corpus.samples("test")}
    name = min(sources)
    job = EvaluationJob(None, corpus, sources=(name,))
    assert [ref.key for ref in job.samples()] == [ref.key for ref in corpus.samples("test") if ref.source == name]
    assert {ref.source for ref in job.refs} == {name}
    assert job.describe()["sources"] == [name]
