"""The local server answers this computer only; the exported folder works behind any server; refusals are sentences."""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import threading

import pytest

from stylefx.errors import UserError
from stylefx.models.checkpoint import load_model, model_files
from stylefx.studio.serve import HOST, files_answer, make_server
from stylefx.studio.site import export_site, site_files
from tests.studio.conftest import drop, opened, serving, until


def ask(address, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type"), answer.read(), answer


def test_it_listens_on_loopback_only():
    server = make_server(files_answer({}))
    assert server.server_address[0] == HOST == "127.0.0.1"
    server.server_close()


def test_a_page_of_another_name_is_refused():
    """A site that lets its own name point to this computer gets nothing."""
    address, end = serving(files_answer({"index.html": b"page"}))
    assert ask(address)[:3] == (200, "text/html; charset=utf-8", b"page")
    assert ask(address, Host="evil.example:80")[0] == 403
    assert ask(address, "/../../etc/passwd")[0] == 404
    assert ask(address, method="HEAD")[2] == b""
    end()


def test_players_can_seek():
    address, end = serving(files_answer({"a.flac": bytes(range(100))}))
    status, kind, data, answer = ask(address, "/a.flac", Range="bytes=10-19")
    assert (status, kind, data) == (206, "audio/flac", bytes(range(10, 20)))
    assert answer.getheader("Content-Range") == "bytes 10-19/100"
    end()


def test_a_port_that_is_taken_is_a_sentence():
    server = make_server(files_answer({}))
    with pytest.raises(UserError, match="cannot be opened"):
        make_server(files_answer({}), server.server_address[1])
    server.server_close()


def test_the_weights_are_the_checkpoints(tmp_path):
    export_site(tmp_path / "site", "shipped")
    assert (tmp_path / "site/model/model.safetensors").read_bytes() == model_files("shipped")[0].read_bytes()
    described = json.loads((tmp_path / "site/model/studio.json").read_text())
    model = load_model("shipped")
    assert sum(len(e["parameters"]) for e in described["effects"]) == model.chain.num_controls
    with pytest.raises(UserError, match=r"index\.html exists"):
        export_site(tmp_path / "site", "shipped")
    assert export_site(tmp_path / "site", "shipped", overwrite=True) < 20e6


def test_a_model_for_which_the_browser_has_no_code_is_refused():
    with pytest.raises(UserError, match="tiny has the encoder 'tiny' and the controller 'mlp'"):
        site_files("tiny")


@pytest.mark.xdist_group("browser")
def test_the_folder_works_from_any_web_server(browser, recordings, tmp_path):
    """Python's own server, below a path, which knows nothing of ours."""
    export_site(tmp_path / "web" / "below", "shipped")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer((HOST, 0), functools.partial(Quiet, directory=tmp_path / "web"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context, tab, wrong = opened(browser, f"http://{HOST}:{server.server_address[1]}/below/")
    tab.evaluate("() => styleStudio.ready")
    for side, path in zip(("input", "reference"), recordings, strict=True):
        drop(tab, f"#drop-{side}", path)
        until(tab, f"document.getElementById('{side}-name').textContent.includes('Hz')")
    until(tab, "styleStudio.found?.document.format === 'stylefx-settings'")
    assert wrong == []
    context.close()
    server.shutdown()
    server.server_close()
