"""What other builders leave, clear away or have not been seen to write yet: found by the simulated cluster, one by one."""

from __future__ import annotations

from pipelines.builder import finalize as module
from pipelines.builder.finalize import finalize
from pipelines.builder.preflight import _write_somewhere
from pipelines.builder.resume import forgive, sweep
from pipelines.corpus.plans import plans_of
from pipelines.shards.journal import in_flight, note_name, quarantine, quarantined
from pipelines.storage.local import LocalStorage
from stylefx.corpus.schema import INDEX_FILE
from tests.support.builds import manifest_for


def test_a_note_of_an_earlier_builder_blames_no_sample_of_a_shard_that_is_rendered_anew(corpus):
    """In an object store a first attempt writes no note of its own: an old one would stand for it."""
    storage = LocalStorage(corpus)
    ((_, shards),) = plans_of(storage)
    storage.write(note_name(shards[0].name), b'{"key": "of another time", "time_s": 0}')
    sweep(storage, shards, storage.list(), alone=True)
    assert in_flight(storage, shards[0].name) == (None, None)


def test_trying_again_forgives_shards_that_were_never_committed_too(corpus):
    storage = LocalStorage(corpus)
    ((_, shards),) = plans_of(storage)
    quarantine(storage, shards[0].name, {"a sample": "ended its worker 2 times"})
    forgive(storage, shards, storage.list())
    assert quarantined(storage, shards[0].name) == {}


class Tidied(LocalStorage):
    """Another builder clears the first trial file away."""

    def read(self, name, start=None, end=None):
        if "preflight" in name and not hasattr(self, "cleared"):
            self.cleared = name
            self.delete(name)
        return super().read(name, start, end)


def test_a_trial_file_that_another_builder_clears_away_is_no_fault_of_the_node(tmp_path):
    storage = Tidied(tmp_path)
    _write_somewhere(storage, "node")
    assert storage.cleared
    assert storage.list() == {}


def test_cards_are_whole_where_the_listing_does_not_show_the_index_and_the_last_shards_yet(corpus, sources, monkeypatch):
    ((_, shards),) = plans_of(LocalStorage(corpus))
    names = ("README.md", "ATTRIBUTION.md", "croissant.json", "sizes.json")
    before = {name: (corpus / name).read_bytes() for name in names}
    hidden = (INDEX_FILE, shards[-1].name)

    class Stale(module.CorpusView):
        def __init__(self, uri):
            super().__init__(uri)
            self.files = {name: size for name, size in self.storage.list().items() if not name.startswith(hidden)}

    monkeypatch.setattr(module, "CorpusView", Stale)
    for name in names:
        (corpus / name).unlink()
    finalize(LocalStorage(corpus), manifest_for(sources, corpus), shards, {})
    assert {name: (corpus / name).read_bytes() for name in names} == before
