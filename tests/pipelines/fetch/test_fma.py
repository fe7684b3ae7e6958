"""FMA: archives of the published layout become a list of tracks with the licence of each, which a manifest can choose by."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.fetch.corpora import find_corpus
from pipelines.fetch.fetch import fetch_corpus
from pipelines.fetch.fma import write_list
from pipelines.manifest.load import load_manifest
from pipelines.sources.leftout import LeftOut
from pipelines.sources.listing import list_recordings
from stylefx.errors import DamageError
from stylefx.licences import licence_wanted
from tests.pipelines.fetch.test_fetch import Server, server  # noqa: F401 - a fixture

#: the first rows of the published table, most columns left out
TABLE = """,album,artist,artist,set,set,track,track,track,track
,title,id,name,split,subset,genre_top,language_code,license,title
track_id,,,,,,,,,
2,AWOL,1,AWOL,training,small,Hip-Hop,en,Attribution-NonCommercial-ShareAlike 3.0 International,Food
5,AWOL,1,AWOL,training,small,Hip-Hop,en,Attribution 4.0 International,This World
140,Niris,54,"Nicky, Cook",validation,small,Folk,,CC0 1.0 Universal,Queen
999,None,7,Nobody,test,large,,,FMA-Limited: Download Only,Not here
"""


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def fetched(server: Server, tmp_path) -> Path:  # noqa: F811
    archives = {
        "metadata": zipped({"fma_metadata/tracks.csv": TABLE.encode(), "fma_metadata/README.txt": b"x"}),
        "small": zipped({f"fma_small/000/{n:06d}.mp3": b"audio" for n in (2, 5, 140)}),
    }
    corpus = find_corpus("fma-small")
    parts = []
    for part in corpus.parts:
        data = archives[part.name]
        server.files[f"/{part.name}.zip"] = data
        sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        parts.append(replace(part, url=server.url(f"/{part.name}.zip"), sha1=sha1, size_bytes=len(data)))
    return fetch_corpus(replace(corpus, parts=tuple(parts)), tmp_path / "data" / "fma")


def test_the_list_has_path_artist_and_licence_of_every_track_that_is_there(fetched):
    rows = list(csv.DictReader((fetched / "fma.csv").open(encoding="utf-8")))
    assert [(r["path"], r["licence"]) for r in rows] == [
        ("fma_small/000/000002.mp3", "CC-BY-NC-SA-3.0"),
        ("fma_small/000/000005.mp3", "CC-BY-4.0"),
        ("fma_small/000/000140.mp3", "CC0-1.0"),
    ]
    assert rows[2]["attribution"] == "Nicky, Cook - Queen (Free Music Archive)"


def test_the_manifest_that_comes_with_it_takes_artists_as_groups_and_licences_as_they_are(fetched, monkeypatch):
    monkeypatch.chdir(fetched.parents[1])
    manifest = load_manifest(Path(__file__).parents[3] / "manifests" / "corpora" / "fma-small.yaml")
    found = list(list_recordings(manifest.sources, manifest.limits, LeftOut()))
    assert [f.group for f in found] == ["fma/1", "fma/1", "fma/54"]
    assert [f.label for f in found] == ["Hip-Hop", "Hip-Hop", "Folk"]
    assert [f.path[-7:] for f in found if licence_wanted(f.licence, manifest.licences)] == ["005.mp3", "140.mp3"]
    assert found[0].metadata["language"] == "en"


def test_another_table_is_refused(tmp_path):
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata" / "tracks.csv").write_text("a,b\nc,d\n")
    with pytest.raises(DamageError, match=r"has no column track\.license"):
        write_list(tmp_path)
