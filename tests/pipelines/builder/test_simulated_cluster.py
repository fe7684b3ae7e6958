"""Builds on a simulated cluster: 200 seeds of `python -m benchmarks.simulated_cluster`, and that it would see what is broken."""

from __future__ import annotations

import pytest

from benchmarks.simulation.clock import Machine, Simulation, strand
from benchmarks.simulation.play import Broken
from benchmarks.simulation.theatre import theatre
from benchmarks.simulation.threads import Event, Thread
from pipelines.corpus.view import CorpusView
from pipelines.shards import make


@pytest.fixture(scope="module")
def stage():
    with theatre() as made:
        yield made


def test_whatever_a_cluster_and_its_store_do_the_next_undisturbed_build_ends_identically(stage):
    drivers = sum(stage.play(seed).drivers for seed in range(200))
    assert drivers > 300  # so many of them did not finish at once


def test_a_seed_is_played_the_same_again(stage):
    first, second = (stage.play(7) for _ in range(2))
    assert first.said == second.said
    assert (first.store.requests, first.now_s) == (second.store.requests, second.now_s)
    assert first.store.trace.hexdigest() == second.store.trace.hexdigest()


def first_broken(stage, seeds: int = 200) -> str:
    for seed in range(seeds):
        try:
            stage.play(seed)
        except Broken as finding:
            return str(finding)
    return ""


def test_a_commit_marker_without_its_shard_is_found(stage, monkeypatch):
    monkeypatch.setattr(make, "_publish", lambda storage, name, tar, table: None)
    assert first_broken(stage, 5)


def test_cards_that_trust_a_stale_listing_are_found(stage, monkeypatch):
    monkeypatch.setattr(CorpusView, "just_indexed", lambda self, index: None)
    assert "KeyError: 'shards'" in first_broken(stage, 40)


def test_time_passes_only_when_all_wait_and_a_killed_process_does_nothing_more():
    seen = []
    simulation = Simulation(0)

    def body():
        bell = Event()
        Thread(lambda: (simulation.pause(5.0), seen.append(simulation.now_s), bell.set())).start()
        assert bell.wait(60.0)
        seen.append(simulation.now_s)
        try:
            simulation.pause(100.0)
        finally:
            seen.append("unwinding")
            strand().simulation.pause(1.0)
            seen.append("never")

    process = simulation.launch(Machine("one"), "a process", body)
    simulation.at(50.0, process.kill)
    simulation.run(lambda: not process.strands)
    assert seen == [5.0, 5.0, "unwinding"]
