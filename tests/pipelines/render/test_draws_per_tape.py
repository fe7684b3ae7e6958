"""Several samples of one stretch: read and stretched once, each with effects of its own, all on one side of the split."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import pytest

from pipelines.render.decode import Decoder
from pipelines.storage.local import LocalStorage
from pipelines.verify.run import run_verify
from stylefx.corpus.order import CorpusOrder
from stylefx.corpus.reader import open_corpus
from tests.support.builds import manifest_for, run_build, write_sources

DRAWS = 3
SEGMENT = {"half_frames": 8192, "sample_rate": 12000}
PINNED = {"val": ["voices/speaker-1", "voices/speaker-2"], "test": ["voices/speaker-3", "voices/speaker-4"]}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("draws") / "sources", speakers=7, seconds=5.0)


def build(sources, out, draws, **changes):
    changes = {"augment": {"probability": 1.0}, "split": PINNED, "shard": {"samples": 7}} | changes
    manifest = manifest_for(sources, out, segment=SEGMENT | {"draws_per_tape": draws}, **changes)
    return manifest, run_build(manifest, executor="direct")


def documents(out):
    corpus = open_corpus(str(out))
    return {
        split: [corpus.metadata(ref) for s in corpus.shards_of(split) for ref in corpus.table(s.name)] for split in corpus.splits
    }


def stretch(document):
    return json.dumps([document["parts"], document["augmentation"]])


def test_every_stretch_gives_so_many_samples_with_effects_of_their_own(sources, tmp_path, monkeypatch):
    read = []
    clip = Decoder.clip
    monkeypatch.setattr(Decoder, "clip", lambda self, sample: read.append(sample.key) or clip(self, sample))
    _, summary = build(sources, tmp_path / "three", DRAWS)
    three = documents(tmp_path / "three")
    _, one_summary = build(sources, tmp_path / "one", 1)
    one = documents(tmp_path / "one")
    assert summary.tally.counts["ok"] == DRAWS * one_summary.tally.counts["ok"]
    drawn = []
    for split, found in three.items():
        by_stretch = defaultdict(list)
        for document in found:
            by_stretch[stretch(document)].append(document)
        assert set(by_stretch) == {stretch(document) for document in one[split]}
        for same in by_stretch.values():
            assert len({d["key"] for d in same}) == DRAWS
            drawn += [json.dumps([stretch(same[0]), d["input"], d["target"]]) for d in same]
    assert len(set(drawn)) > 0.9 * len(drawn)  # an effect is left out now and then, so two draws can be alike
    sides = [{stretch(d) for d in found} for found in three.values()]
    assert sum(map(len, sides)) == len(set().union(*sides))
    # A stretch that two shards share is read by both.
    assert len(read) <= 2 * one_summary.tally.counts["ok"] + summary.tally.counts["ok"] / 7


def test_samples_do_not_depend_on_what_was_rendered_before_them(sources, tmp_path):
    """verify renders each alone."""
    for name, changes in {"same": {}, "other": {"reference": {"from": "other", "match": "any", "count": 2}}}.items():
        out = tmp_path / name
        build(sources, out, DRAWS, store="both", **changes)
        report = run_verify(LocalStorage(out), deep_share=1.0)
        assert report.findings == []
        assert report.rendered_again == report.samples > 20


def test_references_of_other_content_belong_to_another_group_in_every_draw(sources, tmp_path):
    build(sources, tmp_path / "out", DRAWS, reference={"from": "other", "match": "any", "count": 2})
    for found in documents(tmp_path / "out").values():
        for document in found:
            assert len(document["references"]) == 2
            assert all(r["group"] != document["group"] for r in document["references"])


def test_training_meets_the_draws_of_a_stretch_apart(sources, tmp_path):
    build(sources, tmp_path / "out", DRAWS)
    corpus = open_corpus(str(tmp_path / "out"))
    shards = corpus.shards_of("train")
    found = [[stretch(corpus.metadata(ref)) for ref in corpus.table(s.name)] for s in shards]
    order = CorpusOrder([len(rows) for rows in found], seed=0, window=8)
    met = [found[shard][row] for _, shard, row in map(order.locate, range(order.total))]
    neighbours = sum(a == b for a, b in pairwise(met))
    stored = [s for rows in found for s in rows]
    assert neighbours < 0.4 * sum(a == b for a, b in pairwise(stored))


def test_one_draw_is_the_corpus_that_it_was(sources, tmp_path):
    with_key, _ = build(sources, tmp_path / "a", 1)
    without = manifest_for(
        sources, tmp_path / "a", augment={"probability": 1.0}, split=PINNED, shard={"samples": 7}, segment=SEGMENT
    )
    assert with_key.digest() == without.digest()
    assert with_key.recipe_digest() == without.recipe_digest()
