"""Recordings that no collection is free of: the build completes, each is listed with its reason, nothing else changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.support.builds import RATE, manifest_for, run_build, tone_bursts, write_sources


def write_nasty(folder: Path) -> dict[str, str]:
    """Odd and broken files of one group; {file name: what its reason must say, "" for those that are usable}."""
    folder.mkdir(parents=True)
    good = tone_bursts(6.0, RATE, 77)
    soundfile.write(folder / "six.wav", good[:6], RATE)
    soundfile.write(folder / "full.flac", good, RATE)
    data = (folder / "full.flac").read_bytes()
    (folder / "truncated.flac").write_bytes(data[: len(data) // 2])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is not audio\n" * 50)
    bad = good.copy()
    bad[1000] = np.nan
    soundfile.write(folder / "nan.wav", bad, RATE, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", 0 * good, RATE)
    soundfile.write(folder / "dead channel.wav", np.hstack([good, 0 * good]), RATE)
    soundfile.write(folder / "128k.wav", tone_bursts(6.0, 128000, 78), 128000)
    soundfile.write(folder / "dc.wav", tone_bursts(6.0, RATE, 79) + np.float32(0.2), RATE)
    soundfile.write(folder / "größer 漢字 é.wav", tone_bursts(6.0, RATE, 80), RATE)
    os.symlink("nowhere.wav", folder / "dangling.wav")
    os.mkfifo(folder / "fifo.wav")
    (folder / "folder.wav").mkdir()
    return {
        "six.wav": "",  # too short for a sample of its own: joined with others
        "truncated.flac": "",  # used as far as it goes
        "empty.wav": "empty",
        "text.wav": "unreadable",
        "nan.wav": "NaN",
        "silent.wav": "",  # readable, but no half of it is active
        "dead channel.wav": "",
        "128k.wav": "",
        "dc.wav": "",
        "größer 漢字 é.wav": "",
    }


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """(catalog rows of the nasty group, corpus with it, corpus without it)."""
    folder = tmp_path_factory.mktemp("nasty")
    plain = write_sources(folder / "plain", speakers=4)
    expected = write_nasty(folder / "odd" / "nasty")
    sources = [{"name": "voices", "path": str(plain)}, {"name": "odd", "path": str(folder / "odd")}]
    with_nasty = run_build(manifest_for(plain, folder / "with", sources=sources), executor="inline")
    run_build(manifest_for(plain, folder / "without", sources=sources[:1]), executor="direct")
    assert with_nasty.finished
    return expected, folder / "with", folder / "without"


def rows_of(corpus: Path) -> dict[str, dict]:
    return {row["key"]: row for path in corpus.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()}


def members_of(corpus: Path) -> dict[str, bytes]:
    import tarfile

    out = {}
    for path in corpus.glob("*/*.tar"):
        with tarfile.open(path) as tar:
            out |= {m.name: tar.extractfile(m).read() for m in tar}
    return out


def test_every_odd_file_is_in_the_catalog_with_its_reason(corpora):
    expected, corpus, _ = corpora
    rows = {Path(r["path"]).name: r for r in pq.read_table(corpus / "catalog-0000.parquet").to_pylist()}
    for name, reason in expected.items():
        assert reason in rows[name]["error"], name
        assert bool(rows[name]["error"]) == bool(reason), name


def test_usable_odd_files_give_samples_and_unusable_ones_none(corpora):
    expected, corpus, _ = corpora
    used = {
        Path(part["recording"]).name
        for name, data in members_of(corpus).items()
        if name.endswith(".json")
        for part in json.loads(data)["parts"]
    }
    assert {"dead channel.wav", "128k.wav", "dc.wav", "größer 漢字 é.wav"} <= used
    assert not used & ({name for name, reason in expected.items() if reason} | {"silent.wav"})


def test_all_samples_of_usable_files_are_there(corpora):
    _, corpus, _ = corpora
    rows = rows_of(corpus)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert sum(row["source"] == "odd" for row in rows.values()) >= 6


def test_nothing_else_is_affected(corpora):
    """Every member of every sample of the other source is the same, byte by byte, as in a corpus without the odd files."""
    _, corpus, without = corpora
    found, expected = members_of(corpus), members_of(without)
    assert len(expected) > 50
    for name, data in expected.items():
        assert found[name] == data, name
