"""What people see of a corpus: inspect, report, compare, cards."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.corpus.cards import card_files
from pipelines.corpus.view import CorpusView
from pipelines.look.compare import compare
from pipelines.look.report import make_report
from pipelines.look.svg import histogram
from stylefx.errors import UserError
from tests.support.builds import HALF, RATE, manifest_for, run_build, write_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    folder = write_sources(tmp_path_factory.mktemp("sources") / "voices")
    (folder / "speaker-3" / "broken.wav").write_bytes(b"this is no audio at all")
    return folder


@pytest.fixture(scope="module")
def corpus(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("look") / "corpus"
    assert run_build(manifest_for(sources, out), executor="direct").finished
    return out


@pytest.fixture(scope="module")
def view(corpus) -> CorpusView:
    return CorpusView(str(corpus))


def run(*arguments):
    result = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_inspect_shows_recipe_settings_and_metrics(corpus, view):
    row = next(view.rows())
    text = run("inspect", corpus, row["key"]).output
    document = view.document(row)
    assert row["key"] in text
    assert document["parts"][0]["recording"] in text
    for step in document["target"]:
        if step["step"] == "effect":
            assert step["effect"] in text
            for name, value in step["settings"].items():
                assert f"{name} {value:.4g}" in text
    assert f"{document['metrics']['input_lufs']:.4g}" in text


def test_inspect_draws_by_source_and_status_and_refuses_what_is_not_there(corpus, view):
    keys = {run("inspect", corpus, "--seed", n).output.split()[0] for n in range(6)}
    assert len(keys) > 1
    assert run("inspect", corpus, "--seed", 1).output == run("inspect", corpus, "--seed", 1).output
    assert "source voices" in run("inspect", corpus, "--source", "voices").output
    with pytest.raises(UserError, match="'failed'"):
        run("inspect", corpus, "--status", "failed")
    with pytest.raises(UserError, match="no sample 'nothing-here'"):
        run("inspect", corpus, "nothing-here")
    with pytest.raises(UserError, match="no corpus"):
        run("inspect", corpus.parent)


def test_inspect_writes_the_halves_as_they_are_stored(corpus, view, tmp_path):
    row = next(view.rows())
    run("inspect", corpus, row["key"], "--wav", tmp_path)
    written = sorted(tmp_path.iterdir())
    assert len(written) == 4
    import io

    for path in written:
        name = path.name.removeprefix(row["key"] + ".").removesuffix(".wav")
        stored, _ = soundfile.read(io.BytesIO(view.member(row, f"{name}.flac")), dtype="int16")
        audio, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        assert len(audio) == HALF
        np.testing.assert_array_equal(audio, stored)


class _Links(HTMLParser):
    """Every address that a page would load."""

    def __init__(self):
        super().__init__()
        self.found, self.players, self.images = [], 0, 0

    def handle_starttag(self, tag, attributes):
        self.players += tag == "audio"
        self.images += tag == "image"
        self.found += [v for k, v in attributes if k in ("src", "href", "srcset", "data") and v]


def test_the_report_is_one_file_without_outside_requests(view):
    html = make_report(view, samples=3, seed=0)
    links = _Links()
    links.feed(html)
    assert links.players == links.images == 12
    assert all(address.startswith(("data:", "#")) for address in links.found)
    assert "url(" not in html
    assert "@import" not in html
    for word in ("Hours of pairs by source", "Left out when planning", "threshold db", "Worker time", "voices/speaker-0", "CC0"):
        assert word in html
    assert re.search(r"broken\.wav", html), "the unreadable recording is named with its reason"
    count, names = view.rejected()["unreadable"]
    assert (count, names) == (1, ["voices/speaker-3/broken.wav"])


def test_a_page_has_one_heading_and_lists_its_parts(view, tmp_path):
    html = make_report(view, samples=1)
    assert html.count("<h1>") == 1
    parts = re.findall(r'<section id="(part-\d)"><h2>([^<]+)</h2>', html)
    assert [f'<li><a href="#{at}">{name}</a></li>' in html for at, name in parts] == [True] * 7
    key = next(view.rows())["key"]
    run("inspect", view.where, key, "--page", tmp_path / "s.html")
    sample = (tmp_path / "s.html").read_text()
    assert re.findall(r"<h\d>[^<]*</h\d>", sample) == [f"<h1>{key}</h1>"]
    captions = re.findall(r"<small>(\w+ \w), [-.\d]+ LUFS", sample)
    assert captions == ["input a", "target a", "input b", "target b"], "what belongs together stands side by side"


def test_numbers_of_an_axis_do_not_collide():
    html = histogram({"x": [20.0, 45.0, 19000.0]}, "frequency", "Hz", 32, True)
    ticks = [(float(x), len(text)) for x, text in re.findall(r'x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]+)<', html)][:-1]
    assert len(ticks) > 3
    assert all(b - a >= 7 * (m + n) / 2 for (a, m), (b, n) in pairwise(ticks))


def test_a_report_of_hostile_names_runs_no_code(sources, tmp_path):
    evil = tmp_path / "voices"
    shutil.copytree(sources, evil)
    (evil / "speaker-0").rename(evil / "<script>alert(1)<")
    out = tmp_path / "corpus"
    run_build(manifest_for(evil, out), executor="direct")
    assert "<script>alert(1)" not in make_report(CorpusView(str(out)), 1, 0)


def test_equal_corpora_compare_equal_and_differences_are_named(sources, corpus, view, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(corpus, twin)
    assert compare(view, CorpusView(str(twin))).identical
    assert run("compare", corpus, twin).return_value == 0

    other = tmp_path / "other"
    run_build(manifest_for(sources, other, seed=5), executor="direct")
    found = compare(view, CorpusView(str(other)))
    assert found.levels[0] == "manifest"
    assert any("seed: 0 -> 5" in line for line in found.lines)
    assert "bytes" in found.levels
    assert run("compare", corpus, other).return_value == 4


def test_compare_names_the_sample_whose_bytes_differ(corpus, view, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(corpus, twin)
    row = next(view.rows())
    members = json.loads(row["members"])
    offset, size = members["a.target.flac"]
    tar = twin / f"{row['shard']}.tar"
    data = bytearray(tar.read_bytes())
    data[offset + size // 2] ^= 0xFF
    tar.write_bytes(bytes(data))
    sidecar_path = twin / f"{row['shard']}.json"
    sidecar = json.loads(sidecar_path.read_text())
    sidecar["sha256"] = "0" * 64
    sidecar["environment"]["numpy"] = "0.0"
    sidecar_path.write_text(json.dumps(sidecar))
    found = compare(view, CorpusView(str(twin)))
    assert found.levels == ["environment", "bytes"]
    assert any(row["key"] in line and "1 of" in line for line in found.lines)
    assert any("numpy" in line for line in found.lines)


def test_cards_say_what_is_there_and_are_reproducible(corpus, view):
    files = card_files(view)
    assert files == card_files(CorpusView(str(corpus)))
    for name, data in files.items():
        assert (corpus / name).read_bytes() == data, "the builder wrote the same"
    header = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    paths = [p for entry in header["configs"][0]["data_files"] for p in entry["path"]]
    assert sorted(paths) == sorted(str(p.relative_to(corpus)) for p in corpus.glob("*/*.tar"))
    sizes = json.loads(files["sizes.json"])
    ok = sum(1 for row in view.rows(["status"]) if row["status"] == "ok")
    assert sum(sizes.values()) == ok
    croissant = json.loads(files["croissant.json"])
    assert {d["@id"] for d in croissant["distribution"] if d["@type"] == "cr:FileObject"} == set(sizes)
    assert "| voices |" in files["README.md"].decode()
    assert "CC0" in files["README.md"].decode()


def test_cards_state_every_licence_of_a_list_and_the_sources_of_earlier_generations(sources, tmp_path):
    rows = [f"{path.relative_to(sources)},{path.parent.name}" for path in sorted(sources.glob("*/long.*"))]
    licences = ["CC0-1.0", "CC-BY-4.0", "CC-BY-4.0", "CC-BY-4.0", "CC-BY-4.0"]
    listing = "\n".join(["path,speaker,terms", *(f"{row},{terms}" for row, terms in zip(rows, licences, strict=True))])
    (sources / "list.csv").write_text(listing)
    listed = {
        "name": "listed",
        "path": str(sources / "list.csv"),
        "group": {"column": "speaker"},
        "columns": {"licence": "terms"},
    }
    split = {"val": ["listed/speaker-1"], "test": ["listed/speaker-2"]}
    manifest = manifest_for(sources, tmp_path / "c", sources=[listed], split=split)
    run_build(manifest, executor="direct")
    card = card_files(CorpusView(str(tmp_path / "c")))["README.md"].decode()
    assert "| CC-BY-4.0; CC0-1.0 |" in card

    other = tmp_path / "other/speaker-9"
    other.mkdir(parents=True)
    audio, rate = soundfile.read(sources / "speaker-0/long.wav")
    soundfile.write(other / "long.wav", audio[::-1], rate)
    new = {"name": "more", "path": str(other.parent), "licence": "CC-BY-SA-3.0", "attribution": "A. Nyone"}
    grown = manifest_for(sources, tmp_path / "c", sources=[new], split={})
    run_build(grown, executor="direct", grow=True)
    card = card_files(CorpusView(str(tmp_path / "c")))["README.md"].decode()
    assert "| CC-BY-4.0; CC0-1.0 |" in card
    assert "| CC-BY-SA-3.0 | A. Nyone |" in card
