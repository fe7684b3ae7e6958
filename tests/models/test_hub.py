"""Models on a hub: pushed and pulled in the layout that huggingface_hub stores, by its own client."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from stylefx.errors import IncompleteError, ModelError, UserError
from stylefx.inference.transfer import StyleTransfer
from stylefx.models.checkpoint import load_model, read_card
from stylefx.models.sharing import push_to_hub, save_pretrained
from tests.support.fake_hub import hub
from tests.support.forked import free_port

pytest.importorskip("huggingface_hub")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub of our own that the client talks to, with an empty cache."""
    with hub() as (url, handler):
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield handler


def same(a, b) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_a_folder_in_the_hub_s_layout_loads_like_any_model(tmp_path):
    folder = save_pretrained("tiny", tmp_path / "mine")
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: stylefx\n")
    assert json.loads((folder / "config.json").read_text()) == read_card("tiny")
    assert same(load_model(folder), load_model("tiny"))
    assert same(StyleTransfer.from_pretrained(folder).model, load_model("tiny"))


def test_what_is_pushed_is_pulled_by_its_name(server):
    address = push_to_hub("tiny", "me/mine")
    assert address.endswith("/me/mine")
    assert set(server.repositories["me/mine"]) == {"README.md", "config.json", "model.safetensors"}
    assert server.created[0].get("private") is True or server.created[0].get("visibility") == "private"
    assert same(StyleTransfer.from_pretrained("me/mine").model, load_model("tiny"))
    assert same(load_model("hub:me/mine"), load_model("tiny"))
    assert same(load_model("hub:me/mine@main"), load_model("tiny"))


def test_mistakes_and_absent_hubs_are_sentences(server, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="'mine' is no name on a hub; give user/name"):
        push_to_hub("tiny", "mine")
    with pytest.raises(ModelError, match=r"hub:me/nothing cannot be fetched \(.*check the name, HF_TOKEN and HF_ENDPOINT"):
        load_model("hub:me/nothing")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(IncompleteError, match="me/mine cannot be pushed to http"):
        push_to_hub("tiny", "me/mine")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'stylefx\[hub\]'"):
        load_model("hub:me/mine")
