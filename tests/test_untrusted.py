"""Files of strangers: nothing in a tar, settings or a checkpoint is executed, and damaged ones end in a sentence, in time."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import READERS, mutated, run
from pipelines.corpus.tar import TarWriter, walk
from pipelines.manifest.model import Limits
from pipelines.sources.archives import list_members, open_member
from stylefx.corpus.opened import open_corpus
from stylefx.corpus.stream import StreamSet
from stylefx.errors import StylefxError
from tests.support.stored_corpus import make_corpus

#: names by which other readers choose a decoder that unpickles
NAMES = ("pkl", "pickle", "pyd", "pt", "pth", "npy", "npz", "cls.pkl", "a.input.pkl", "json.pkl")


class Trap:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


@pytest.fixture
def trace(tmp_path):
    yield tmp_path / "trace"
    assert not (tmp_path / "trace").exists()


def traps(trace: Path) -> dict[str, bytes]:
    """Members that run code where they are unpickled: pickles, torch's zip of one, an array of objects."""
    data = pickle.dumps(Trap(trace))
    array, zipped = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Trap(trace)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    special = {"npy": array.getvalue(), "pt": zipped.getvalue(), "pth": zipped.getvalue(), "npz": zipped.getvalue()}
    return {name: special.get(name, data) for name in NAMES}


def test_the_traps_would_run(tmp_path):
    pickle.loads(traps(tmp_path / "ran")["pkl"])
    assert (tmp_path / "ran").exists()


def test_a_corpus_whose_tar_carries_pickles_runs_none(tmp_path, trace):
    """By offset, by the walker, by the checks and by the command that looks: the members lie there, and nobody asks for them."""

    root = make_corpus(tmp_path / "corpus", {"train": [2]})
    path = root / "train/train-000000.tar"
    with tarfile.open(path) as archive:
        members = [(m.name, archive.extractfile(m).read()) for m in archive]
    rebuilt = io.BytesIO()
    writer = TarWriter(rebuilt)
    for name, data in members:
        writer.add(name, data)
    key = members[0][0].split(".")[0]
    for name, data in traps(trace).items():
        writer.add(f"{key}.{name}", data)
    writer.finish()
    path.write_bytes(rebuilt.getvalue())
    corpus = open_corpus(root)
    for sample in corpus:
        assert sample.input.size
        assert sample.document
    corpus._repr_html_()
    found = list(walk(iter([path.read_bytes()]), path.stat().st_size))
    assert len(found) == len(members) + len(NAMES)


def test_a_stream_of_tars_with_pickles_runs_none(tmp_path, trace):
    """The one path on which webdataset reads: it hands out bytes, and decodes nothing."""
    root = make_corpus(tmp_path / "corpus", {"train": [2]}, half_frames=4096)
    path = root / "train/train-000000.tar"
    with tarfile.open(path) as archive:
        members = [(m.name, archive.extractfile(m).read()) for m in archive]
        keys = {name.split(".")[0] for name, _ in members}
    with tarfile.open(path, "w") as archive:
        for key in sorted(keys):
            mine = [(n, d) for n, d in members if n.startswith(key)] + [(f"{key}.{n}", d) for n, d in traps(trace).items()]
            for name, data in mine:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    stream = StreamSet([str(path)], 24000, 4096)
    raw = stream.raw(0, 1)
    for _ in range(2):
        epoch, sample = next(raw)
        assert isinstance(sample["pkl"], bytes)
        stream.item(sample, epoch)


def test_an_archive_of_recordings_with_pickles_runs_none(tmp_path, trace):
    for name in ("a.tar", "a.tar.gz"):
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
            for suffix, data in {**traps(trace), "json": pickle.dumps(Trap(trace))}.items():
                info = tarfile.TarInfo(f"speaker/one.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for suffix, data in traps(trace).items():
            archive.writestr(f"speaker/one.{suffix}", data)
    for name in ("a.tar", "a.tar.gz", "a.zip"):
        members, damage = list_members(str(tmp_path / name), "s", Limits())
        assert members
        assert not damage
        for member in members:
            with open_member(str(tmp_path / name), member.name) as file:
                file.read()


def test_a_checkpoint_that_is_a_pickle_is_refused(tmp_path, trace):
    import hashlib

    from stylefx.models.checkpoint import find_model, load_model

    card = json.loads(find_model("tiny").with_suffix(".json").read_text())
    for data in traps(trace).values():
        (tmp_path / "m.safetensors").write_bytes(data)
        (tmp_path / "m.json").write_text(json.dumps(card | {"sha256": hashlib.sha256(data).hexdigest()}))
        with pytest.raises(StylefxError, match="does not fit"):
            load_model(tmp_path / "m")


@pytest.mark.parametrize(("name", "inputs"), [("tar", 1500), ("settings", 400), ("manifest", 60), ("checkpoint", 150)])
def test_mutated_inputs_end_in_an_answer_or_a_sentence(name, inputs):
    """A keyed sample of what `python -m benchmarks.fuzz` runs at length."""
    found = run(READERS[name](), inputs)
    assert found.failures == []
    assert found.outcomes["sentence"] > 0


def test_an_input_can_be_made_again_by_its_number():
    reader = READERS["settings"]()
    assert [mutated(reader, 3, n) for n in range(20)] == [mutated(reader, 3, n) for n in range(20)]
    assert mutated(reader, 3, 1) != mutated(reader, 4, 1)


def test_a_zip_member_without_a_name_is_a_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"data")
    data = (tmp_path / "a.zip").read_bytes()
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    nameless = bytearray(data)
    nameless[central + 28 : central + 30] = b"\0\0"
    del nameless[central + 46]
    at = nameless.index(b"PK\x05\x06")
    nameless[at + 12 : at + 16] = (len(data[central : data.index(b"PK\x05\x06")]) - 1).to_bytes(4, "little")
    assert local == 0
    (tmp_path / "a.zip").write_bytes(bytes(nameless))
    with pytest.raises(StylefxError, match="name"):
        list_members(str(tmp_path / "a.zip"), "s", Limits())


def test_a_card_of_impossible_size_makes_nothing(tmp_path):
    from stylefx.models.checkpoint import find_model, load_model

    stem = find_model("tiny")
    (tmp_path / "m.safetensors").write_bytes(stem.with_suffix(".safetensors").read_bytes())
    card = json.loads(stem.with_suffix(".json").read_text())
    card["controller"]["hidden"] = 10**9
    (tmp_path / "m.json").write_text(json.dumps(card))
    with pytest.raises(StylefxError, match=r"controller\.hidden is 1000000000, more than weights of"):
        load_model(tmp_path / "m")
    card["controller"]["hidden"] = 4
    card["strategy"]["network"] = {"width": 10**9}
    (tmp_path / "m.json").write_text(json.dumps(card))
    with pytest.raises(StylefxError, match=r"strategy\.network\.width is 1000000000, more than weights of"):
        load_model(tmp_path / "m")
