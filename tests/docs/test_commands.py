"""Every command line and snippet of README and docs does what the page says, or a mark beside it says why it can't be run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from pipelines.manifest.model import Manifest
from stylefx.effects.chain import EffectChain
from stylefx.inference.settings_file import StyleSettings
from stylefx.recipes.chains import Chains
from stylefx.training.config import TrainingConfig
from tests.docs.blocks import Block, Command, blocks, count, inline_commands, pages
from tests.docs.prepared import prepare, settle
from tests.docs.runner import check_command, make_room, outputs_of, run_command
from tests.support.registries import forget_new_effects

pytestmark = pytest.mark.xdist_group("docs")
PAGES = pages()
_ids = [str(page.relative_to(PAGES[0].parent)) for page in PAGES]
_done: dict[Command, str] = {}  # what was run already, by whichever page


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("documented")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("STYLEFX_CACHE", str(place / "cache"))
        prepare(place)
        for line in (
            "stylefx train manifests/train/demo.yaml data.corpora=[demo/corpus] --out demo/run --resume",
            "stylefx transfer voice.wav reference.wav -o first.wav",
        ):
            _run(Command(tuple(line.split())), place)
        settle(place)
        yield place


def _run(command: Command, place: Path) -> None:
    """Once, whoever asks; where a page says KEY, a sample of the corpus."""
    if command not in _done:
        words = tuple(_first_key(place) if word == "KEY" else word for word in command.words)
        _done[command] = run_command(Command(words), place)
    if command.output:
        (place / command.output).write_text(_done[command])


def _first_key(place: Path) -> str:
    from stylefx.corpus.reader import open_corpus

    return open_corpus(place / "demo/corpus").samples("test")[0].key


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_what_a_page_says_can_be_typed(page, folder, monkeypatch):
    forget_new_effects(monkeypatch)
    names: dict = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{block.page} line {block.line}"
        assert block.language, f"{where}: a block without a language; sh, python, yaml, json or text"
        try:
            _check(block, folder, names)
        except Exception as error:
            raise AssertionError(f"{where}: {error}") from error


def _check(block: Block, folder: Path, names: dict) -> None:
    if block.language == "sh":
        for command in block.commands:
            check_command(command, complete=True) if block.reason else _run(command, folder)
    elif block.language == "python":
        code = compile(block.text, f"{block.page}:{block.line}", "exec")
        if not block.reason:
            for output, settings in outputs_of(block.text):
                make_room(folder, output, settings)
            exec(code, names)
    elif block.language in ("yaml", "json"):
        data = yaml.safe_load(block.text)
        if not block.reason:
            _validate(data)


def _validate(data: dict) -> None:
    """A part of a manifest or of a training configuration, or a whole file of another kind."""
    if data.get("format") == "stylefx-chain":
        EffectChain.from_dict(data)
    elif data.get("format") == "stylefx-settings":
        StyleSettings.from_dict(data)
    elif set(data) <= set(Chains.model_fields):
        Chains.model_validate(data)
    elif set(data) <= set(TrainingConfig.model_fields):
        TrainingConfig.model_validate({"steps": 1, "data": {"corpora": ["corpus"]}} | data)
    else:
        base = {"name": "page", "output": "out", "sources": [{"name": "s", "path": "data"}]}
        assert Manifest.model_validate(base | data).resolved_chains


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_commands_in_the_running_text_exist(page):
    for command in inline_commands(page):
        check_command(command, complete=False)


def test_most_documented_commands_are_run():
    found = count()
    assert found["commands run"] > found["commands parsed"]
    assert not found["Python snippets parsed"] > found["Python snippets run"]
