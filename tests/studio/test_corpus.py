"""A corpus in the studio: found by filters, sorted, heard as it is stored."""

from __future__ import annotations

import json

import pytest

from pipelines.corpus.view import CorpusView
from stylefx.corpus.reader import open_corpus
from stylefx.errors import CorpusNotFound, UserError
from stylefx.studio.browse import Browser, browse_answer
from tests.studio.conftest import opened, serving
from tests.support.builds import manifest_for, run_build, write_sources


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio-corpus")
    out = folder / "corpus"
    run_build(manifest_for(write_sources(folder / "voices"), out), executor="direct")
    return out


@pytest.fixture(scope="module")
def rows(built):
    return [r for r in CorpusView(str(built)).rows() if r["status"] == "ok"]


def test_filters_find_what_the_tables_hold(built, rows):
    browser = Browser(open_corpus(built), str(built))
    assert browser.samples({})["total"] == len(rows)
    for split in {r["split"] for r in rows}:
        assert browser.samples({"split": split})["total"] == sum(r["split"] == split for r in rows)
    group = rows[0]["group"]
    assert browser.samples({"group": group})["total"] == sum(r["group"] == group for r in rows)
    assert browser.samples({"text": rows[0]["key"]})["rows"][0]["key"] == rows[0]["key"]
    middle = sorted(r["input_lufs"] for r in rows)[len(rows) // 2]
    found = browser.samples({"input_lufs.max": str(middle), "sort": "-input_lufs"})
    assert found["total"] == sum(r["input_lufs"] <= middle for r in rows)
    heard = [r["input_lufs"] for r in found["rows"]]
    assert heard == sorted(heard, reverse=True)
    with pytest.raises(UserError, match="cannot be filtered by 'spilt'; did you mean 'split'"):
        browser.samples({"spilt": "train"})
    with pytest.raises(UserError, match="give a number"):
        browser.samples({"tempo.min": "fast"})


def test_what_is_heard_is_what_is_stored(built, rows):
    view, answer = CorpusView(str(built)), browse_answer(str(built))
    row = rows[-1]
    kind, data = answer("audio", {"key": row["key"], "member": "a.target.flac"})
    assert (kind, data) == ("audio/flac", view.member(row, "a.target.flac"))
    sample = json.loads(answer("sample", {"key": row["key"]})[1])
    assert sample["document"] == view.document(row)
    assert sample["members"] == sorted(view.audio_members(row))
    with pytest.raises(UserError, match=r"has no 'c\.flac'"):
        answer("audio", {"key": row["key"], "member": "c.flac"})
    with pytest.raises(UserError, match="has no sample 'nobody'"):
        answer("sample", {"key": "nobody"})
    assert answer("etc/passwd", {}) is None


def test_a_folder_that_is_no_corpus_is_a_sentence(tmp_path):
    with pytest.raises(CorpusNotFound):
        browse_answer(str(tmp_path))


@pytest.mark.xdist_group("browser")
def test_a_sample_is_found_and_played_in_the_browser(browser, built, rows):
    address, end = serving(browse_answer(str(built)))
    context, tab, wrong = opened(browser, address)
    tab.evaluate("() => styleCorpus.ready")
    assert tab.inner_text("#count") == f"{len(rows)} of {len(rows)} samples"
    tab.evaluate("(key) => styleCorpus.open(key)", rows[0]["key"])
    played = tab.evaluate("""async () => { const audio = document.querySelector('#players audio'); audio.muted = true;
                                            await audio.play(); return [audio.duration, audio.error]; }""")
    assert played[0] > 0.1
    assert played[1] is None
    assert rows[0]["key"] in tab.inner_text("#document")
    assert wrong == []
    context.close()
    end()
