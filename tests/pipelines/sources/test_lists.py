"""Lists in every form that people have give the same recordings: path, stretch, columns, and what somebody made of them."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from pipelines.manifest.model import Limits
from pipelines.manifest.sources import Source
from pipelines.sources.leftout import LeftOut
from pipelines.sources.listing import Found, list_recordings, open_uri
from stylefx.audio import read_audio
from stylefx.errors import UserError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for i, name in enumerate(("a.wav", "b.wav")):
        audio = np.random.default_rng(i).uniform(-0.5, 0.5, 16000).astype(np.float32)
        soundfile.write(root / name, audio, 8000)
    return root


def listed(path: Path, **more) -> list[Found]:
    source = Source.model_validate({"name": "s", "path": str(path)} | more)
    return list(list_recordings([source], Limits(), LeftOut()))


def lines(path: Path, *rows: dict) -> Path:
    text = "\n".join(json.dumps(r) for r in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.jsonl", "l.json", "l.csv.gz", "l.tsv.gz", "l.jsonl.gz", "l.parquet"])
def test_every_form_of_a_table_gives_paths_and_columns(folder, name):
    rows = [{"path": "b.wav", "language": "de"}, {"path": "a.wav", "language": "fr"}]
    path = folder / name
    if ".json" in name:
        lines(path, *rows)
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        mark = "\t" if ".tsv" in name else ","
        text = "\n".join([f"path{mark}language", *(f"{r['path']}{mark}{r['language']}" for r in rows)]).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    found = listed(path)
    assert [(f.path, f.metadata) for f in found] == [("a.wav", {"language": "fr"}), ("b.wav", {"language": "de"})]


def test_a_manifest_of_nemo_gives_stretches(folder):
    path = lines(
        folder / "train_manifest.json",
        {"audio_filepath": "a.wav", "offset": 0.5, "duration": 0.25, "text": "one", "speaker": "ann"},
        {"audio_filepath": "a.wav", "offset": 1.0, "duration": 0.5, "text": "two", "speaker": "ann"},
        {"audio_filepath": "b.wav", "duration": 2.0, "text": "three", "speaker": "ben"},
    )
    found = listed(path, group={"column": "speaker"})
    assert [f.path for f in found] == ["a.wav#t=0.5,0.75", "a.wav#t=1,1.5", "b.wav"]
    assert [f.group for f in found] == ["s/ann", "s/ann", "s/ben"]
    assert found[0].metadata == {"text": "one", "speaker": "ann"}
    with open_uri(found[0].uri) as source:
        assert read_audio(source)[0].shape == (1, 16000)


def test_recordings_and_cuts_of_lhotse(folder):
    recording = {
        "id": "r1", "sampling_rate": 8000, "num_samples": 16000, "duration": 2.0,
        "sources": [{"type": "file", "channels": [0], "source": str(folder / "a.wav")}],
    }  # fmt: skip
    (found,) = listed(lines(folder / "recordings.jsonl.gz", recording))
    assert found.path == str(folder / "a.wav")
    said = {"id": "u", "start": 0.0, "duration": 0.5, "text": "hi", "language": "English", "speaker": "ann", "custom": {"snr": 9}}
    cut = {
        "id": "c1",
        "start": 0.5,
        "duration": 0.5,
        "channel": 0,
        "supervisions": [said],
        "recording": recording,
        "type": "MonoCut",
    }
    whole = {**cut, "id": "c2", "start": 0, "duration": 2.0, "supervisions": []}
    command = {**recording, "sources": [{"type": "command", "channels": [0], "source": "sox x -t wav - |"}]}
    found = listed(lines(folder / "cuts.jsonl", cut, whole, {**cut, "id": "c3", "recording": command}))
    assert [f.path for f in found if not f.problem] == [str(folder / "a.wav"), f"{folder / 'a.wav'}#t=0.5,1"]
    assert found[1].metadata["speaker"] == "ann"
    assert found[1].metadata["custom.snr"] == "9"
    assert [f.problem for f in found if "commands in lists are not run" in f.problem]


def test_wav_scp_with_segments_speakers_and_texts(folder):
    (folder / "wav.scp").write_text(f"r1 a.wav\nr2 {folder}/b.wav\nr3 sox b.wav -t wav - |\n")
    (folder / "utt2spk").write_text("r1 ann\nu1 ann\nu2 ben\n")
    found = listed(folder / "wav.scp", group={"column": "speaker", "otherwise": "x"})
    assert [(f.path, f.group, bool(f.problem)) for f in found if "a.wav" in f.path] == [("a.wav", "s/ann", False)]
    assert sum(bool(f.problem) for f in found) <= 1
    (folder / "segments").write_text("u1 r1 0.25 1.0\nu2 r2 0.5 1.5\n")
    (folder / "text").write_text("u1 hello there\n")
    found = listed(folder / "wav.scp", group={"column": "speaker"})
    assert {f.path: f.group for f in found} == {"a.wav#t=0.25,1": "s/ann", f"{folder}/b.wav#t=0.5,1.5": "s/ben"}
    assert next(f for f in found if f.path.startswith("a")).metadata["text"] == "hello there"


def test_a_playlist(folder):
    (folder / "l.m3u8").write_text("#EXTM3U\n#EXTINF:2,Somebody - Something\na.wav\nb.wav\n", encoding="utf-8")
    assert [(f.path, f.metadata.get("title")) for f in listed(folder / "l.m3u8")] == [
        ("a.wav", "Somebody - Something"),
        ("b.wav", None),
    ]


def test_stretches_by_columns_that_the_manifest_names(folder):
    (folder / "l.csv").write_text("path,from,to\na.wav,0.5,1\na.wav,1,1.25\n")
    found = listed(folder / "l.csv", columns={"start": "from", "end": "to"})
    assert [f.path for f in found] == ["a.wav#t=0.5,1", "a.wav#t=1,1.25"]
    (folder / "l.csv").write_text("path,from,to\na.wav,0.5,0.5\n")
    with pytest.raises(UserError, match=r"line 2: a stretch from 0.5 s to 0.5 s holds nothing"):
        listed(folder / "l.csv", columns={"start": "from", "end": "to"})


@pytest.mark.parametrize("columns", [{}, {"path": "input", "target": "target"}])
def test_columns_input_and_target_are_a_recording_before_and_after(folder, columns):
    (folder / "l.csv").write_text("input,target,engineer\na.wav,b.wav,ann\n")
    (found,) = listed(folder / "l.csv", columns=columns)
    assert (found.path, found.target, found.target_uri) == ("a.wav", "b.wav", str(folder / "b.wav"))
    assert found.metadata == {"engineer": "ann"}


@pytest.mark.parametrize("glob", [False, True])
def test_a_table_of_hugging_face_with_audio_in_its_rows(folder, glob):
    rows = [
        {"audio": {"bytes": (folder / name).read_bytes(), "path": name}, "speaker_id": i, "language": "de"}
        for i, name in enumerate(("a.wav", "b.wav"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train-00000.parquet")
    found = listed(folder / ("train-*.parquet" if glob else "train-00000.parquet"), group={"column": "speaker_id"})
    assert [f.group for f in found] == ["s/0", "s/1"]
    assert found[0].path.endswith("00000000-a.wav")
    assert found[0].metadata == {"speaker_id": "0", "language": "de"}
    with open_uri(found[1].uri) as source:
        np.testing.assert_array_equal(read_audio(source)[0], read_audio(folder / "b.wav")[0])


def test_a_table_that_is_none_is_one_sentence(folder):
    (folder / "x.parquet").write_bytes(b"PAR1 this is no table")
    with pytest.raises(UserError, match=r"x\.parquet is damaged or no Parquet table"):
        listed(folder / "x.parquet")


def test_texts_beside_the_audio_of_a_webdataset_are_columns(folder, tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        for suffix, data in (
            ("wav", (folder / "a.wav").read_bytes()),
            ("txt", b"a text"),
            ("cls", b"7"),
            ("json", b'{"x": {"y": true}}'),
        ):
            info = tarfile.TarInfo(f"000.{suffix}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (found,) = listed(tmp_path / "w.tar", label={"column": "cls"})
    assert (found.label, found.metadata) == ("7", {"txt": "a text", "cls": "7", "x.y": "true"})


def test_select_takes_recordings_by_their_columns(folder):
    (folder / "l.csv").write_text("path,language,year\na.wav,de,1999\nb.wav,fr,2005\n")
    assert [f.path for f in listed(folder / "l.csv", select="language == 'de' and year < 2000")] == ["a.wav"]
    left_out = LeftOut()
    source = Source(name="s", path=str(folder / "l.csv"), select="language == 'xx'")
    assert list(list_recordings([source], Limits(), left_out)) == []
    assert "source s: 2 recordings not selected by its select" in list(left_out.lines())


def test_which_columns_follow_a_recording_can_be_said(folder):
    (folder / "l.csv").write_text("path,language,year\na.wav,de,1999\n")
    assert listed(folder / "l.csv", columns={"metadata": ["year"]})[0].metadata == {"year": "1999"}
    assert listed(folder / "l.csv", columns={"metadata": []})[0].metadata == {}
