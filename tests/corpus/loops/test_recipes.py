"""The recipes of the documentation, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from stylefx.corpus import CorpusDataset
from tests.support.stored_corpus import make_corpus

PAGE = Path(__file__).parents[3] / "docs/training/own-loop.md"


def recipe(words: str) -> str:
    """The block of code that has these words."""
    [block] = [code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if words in code]
    return block


@pytest.fixture
def names(tmp_path, monkeypatch) -> dict:
    """What the recipes find: the first one's imports, and a folder with demo/corpus of eleven samples."""
    make_corpus(tmp_path / "demo/corpus", {"train": [6, 5]}, half_frames=500)
    monkeypatch.chdir(tmp_path)
    space: dict = {}
    exec(recipe("for batch in loader"), space)
    return space


def test_the_recipe_for_plain_torch_runs(names):
    assert names["loss"] > 0
    exec(recipe("state_after"), names)
    assert len(list(names["data"])) == 4


def test_the_recipe_for_lightning_trains_on_every_sample_once_an_epoch(names):
    lightning = pytest.importorskip("pytorch_lightning")
    seen: list[str] = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def training_step(self, batch: dict, number: int) -> torch.Tensor:
            seen.extend(batch["key"])
            return (self.gain * batch["input"] - batch["target"]).abs().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    exec(recipe("lightning.Trainer"), names | {"module": Module()})
    assert len(seen) == 20
    assert len(set(seen[:10])) == len(set(seen[10:])) == 10
    assert seen[:10] != seen[10:]


def test_the_recipe_for_accelerate_gives_every_sample_once(names):
    pytest.importorskip("accelerate")
    model = torch.nn.Linear(1, 1)
    names |= {"model": model, "optimiser": torch.optim.SGD(model.parameters(), 0.1)}
    exec(recipe("accelerate.Accelerator"), names)
    seen = [key for batch in names["loader"] for key in batch["key"]]
    assert len(seen) == len(set(seen)) == 10


def test_the_recipe_for_a_stateful_loader_goes_on(names):
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    loader = stateful.StatefulDataLoader(CorpusDataset("demo/corpus", batch_size=2), batch_size=None, num_workers=2)
    epoch = iter(loader)
    next(epoch)
    names["state"] = loader.state_dict()
    exec(recipe("load_state_dict(state)"), names)
    assert [b["key"] for b in names["loader"]] == [b["key"] for b in epoch]
