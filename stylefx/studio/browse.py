"""A corpus behind the local page: rows as JSON, a sample's audio and metadata by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stylefx.corpus.reader import Corpus, SampleRef, open_corpus
from stylefx.errors import UserError
from stylefx.files.html import Markup, render_html
from stylefx.inference.page.build import style_sheet
from stylefx.studio.rows import PAGE_ROWS, choices, corpus_rows, selected
from stylefx.studio.serve import Answer, media_type

_FOLDER = Path(__file__).parent


class Browser:
    """Answers of the corpus page. The table is read once; audio is read from the tars when it is asked for."""

    def __init__(self, corpus: Corpus, where: str):
        self.corpus, self.where = corpus, where
        self.rows = corpus_rows(corpus)

    def page(self) -> bytes:
        script = Markup((_FOLDER / "pages" / "corpus.js").read_text(encoding="utf-8"))
        name = str(self.corpus.index.get("name", self.where))
        values = {
            "title": f"{name} - stylefx studio",
            "name": name,
            "where": self.where,
            "style_sheet": style_sheet(),
            "script": script,
            "data": choices(self.rows),
        }
        return render_html(_FOLDER / "pages" / "corpus.html", **values).encode()

    def samples(self, query: dict[str, str]) -> dict[str, Any]:
        found = selected(self.rows, query)
        text = query.get("page", "0")
        if not text.isdigit():
            raise UserError(f"page is {text!r}; give a number from 0 on")
        return {"total": len(found), "page_rows": PAGE_ROWS, "rows": found.slice(int(text) * PAGE_ROWS, PAGE_ROWS).to_pylist()}

    def sample(self, key: str) -> dict[str, Any]:
        """What there is to hear of a sample, and its document."""
        ref = self._ref(key)
        members = sorted(m for m in ref.members if m != "json")
        return {"key": key, "members": members, "document": self.corpus.metadata(ref)}

    def audio(self, key: str, member: str) -> bytes:
        ref = self._ref(key)
        if member not in ref.members or member == "json":
            raise UserError(f"{key} has no {member!r}; it has {', '.join(m for m in ref.members if m != 'json')}")
        return self.corpus.member(ref, member)

    def _ref(self, key: str) -> SampleRef:
        found: pa.Table = self.rows.filter(pc.equal(self.rows["key"], key))
        if not len(found):
            raise UserError(f"{self.where} has no sample {key!r}")
        shard, row = str(found["shard"][0].as_py()), int(found["row"][0].as_py())
        return self.corpus.table(shard)[row]


def browse_answer(address: str) -> Answer:
    """The answers of the local server for a corpus; CorpusNotFound where there is none."""
    browser = Browser(open_corpus(address), address)

    def answer(path: str, query: dict[str, str]) -> tuple[str, bytes] | None:
        key = query.get("key", "")
        if path in ("", "index.html"):
            return media_type("index.html"), browser.page()
        if path == "samples":
            return "application/json", json.dumps(browser.samples(query), allow_nan=False).encode()
        if path == "sample":
            return "application/json", json.dumps(browser.sample(key)).encode()
        if path == "audio":
            member = query.get("member", "")
            return media_type(member), browser.audio(key, member)
        return None

    return answer
