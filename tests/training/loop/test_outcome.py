"""Terms that are read a step later: the same journal and weights, and a step that is not finite still changes nothing."""

from __future__ import annotations

import pytest
import torch

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.reader import open_corpus
from stylefx.models.checkpoint import load_model
from stylefx.training.loop import trainer
from stylefx.training.loop.step import DivergedError, Stepper
from tests.training.conftest import go, losses, small


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    """The optimiser that CUDA has, here too: it alone can pass over a step without being asked by the host."""
    plain = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda *a, **options: plain(*a, **(options | {"fused": True})))


def run(corpus, folder, monkeypatch, late: bool, **changes):
    monkeypatch.setattr(trainer, "reads_late", lambda place: late)
    go(small(corpus, **changes), folder)
    return folder


def test_the_journal_and_the_weights_are_those_of_terms_that_are_read_at_once(corpus, tmp_path, monkeypatch):
    at_once = run(corpus, tmp_path / "at-once", monkeypatch, late=False)
    late = run(corpus, tmp_path / "late", monkeypatch, late=True)
    assert losses(late) == losses(at_once)
    weights = [load_model(folder).state_dict() for folder in (at_once, late)]
    assert all(torch.equal(a, weights[1][name]) for name, a in weights[0].items())


def test_one_step_is_not_read_until_the_next_one_is_made_or_something_is_saved(corpus, tmp_path, monkeypatch):
    events: list[str] = []
    step, read = Stepper.__call__, Stepper.read
    monkeypatch.setattr(Stepper, "__call__", lambda self, *a: events.append("step") or step(self, *a))
    monkeypatch.setattr(Stepper, "read", lambda self, outcome: events.append("read") or read(self, outcome))
    save = trainer.Trainer._save
    monkeypatch.setattr(trainer.Trainer, "_save", lambda self, *a, **k: events.append("save") or save(self, *a, **k))
    run(corpus, tmp_path / "run", monkeypatch, late=True, checkpoints__every_steps=3, validation__every_steps=100)
    assert events == ["step", "step", "read", "step", "read", "read", "save"] * 2


def test_a_step_that_is_not_finite_is_named_and_changes_no_weight(corpus, tmp_path, monkeypatch):
    """It is read when the next step is made; by then the weights are still those before it, and nothing was saved."""
    bad, read, step, weights = open_corpus(corpus).samples("train")[4].key, TrainingSet.read, Stepper.__call__, []

    def poisoned(self, item):
        audio, marks = read(self, item)
        if item.ref.key == bad:
            audio["target"][0, 5::9] = 3e38
        return audio, marks

    def stepped(self, *arguments):
        outcome = step(self, *arguments)
        weights.append((outcome.is_finite(), [p.detach().clone() for p in self.parameters]))
        return outcome

    monkeypatch.setattr(TrainingSet, "read", poisoned)
    monkeypatch.setattr(Stepper, "__call__", stepped)
    with pytest.raises(DivergedError) as error:
        run(corpus, tmp_path / "run", monkeypatch, late=True, steps=20, checkpoints__every_steps=20, validation__every_steps=100)
    assert bad in str(error.value)
    assert str(error.value).count("made-") == 1
    first = next(i for i, (finite, _) in enumerate(weights) if not finite)
    assert len(weights) == first + 2, "one step more was made"
    assert all(torch.equal(a, b) for a, b in zip(weights[first - 1][1], weights[first][1], strict=True))
    assert not list((tmp_path / "run" / "checkpoints").glob("step-*"))
