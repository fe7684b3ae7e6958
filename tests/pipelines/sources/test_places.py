"""Names and places as they are in the world: nothing is lost in silence, and one odd thing stops no other."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.manifest.model import Limits
from pipelines.manifest.sources import Source
from pipelines.sources.leftout import LeftOut
from pipelines.sources.listing import Found, list_recordings, open_uri
from pipelines.sources.uris import split_member
from stylefx.audio import read_audio
from stylefx.errors import SourceError


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 800).astype(np.float32), 8000, format="WAV")
    return path


def listed(path: Path | str, **more) -> tuple[list[Found], LeftOut]:
    left_out = LeftOut()
    source = Source.model_validate({"name": "s", "path": str(path)} | more)
    return list(list_recordings([source], Limits(), left_out)), left_out


def good(found: list[Found]) -> list[str]:
    return [f.path for f in found if not f.problem]


def test_files_that_lie_directly_in_a_source_are_groups_of_their_own(tmp_path):
    for name in ("a.wav", "b.wav", "ann/c.wav"):
        sound(tmp_path / name)
    found, left_out = listed(tmp_path)
    assert [f.group for f in found] == ["s/a", "s/ann", "s/b"]
    assert any("2 files lie directly in it, each a group of its own" in line for line in left_out.lines())


def test_a_rule_of_ones_own_is_not_completed(tmp_path):
    sound(tmp_path / "a.wav")
    assert [f.group for f in listed(tmp_path, group={"parent": 2})[0]] == [""]
    assert [f.group for f in listed(tmp_path, group={"parent": 1, "otherwise": "all"})[0]] == ["s/all"]


@pytest.mark.parametrize("root", ["", "Wham!", "Wham!/cd1"])
def test_a_folder_whose_name_ends_in_an_exclamation_mark_is_a_folder(tmp_path, root):
    sound(tmp_path / "Wham!" / "cd1" / "last.wav")
    (found,) = listed(tmp_path / root)[0]
    with open_uri(found.uri) as source:
        assert read_audio(source)[1] == 8000
    assert found.group == ("s/last" if root == "Wham!/cd1" else "s/cd1")
    assert listed(tmp_path, group={"parent": 2})[0][0].group == "s/Wham!"


def test_such_a_folder_in_an_archive_costs_nothing(tmp_path):
    sound(tmp_path / "Wham!" / "cd1" / "last.wav")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "Wham!", "Wham!")
    (found,) = listed(tmp_path / "x.tar")[0]
    assert (found.path, found.group) == ("Wham!/cd1/last.wav", "s/cd1")
    with open_uri(found.uri) as source:
        assert read_audio(source, name=found.path)[1] == 8000


def test_a_folder_called_like_an_archive_is_told_from_one(tmp_path):
    sound(tmp_path / "old.tar!" / "a.wav")
    uri = str(tmp_path / "old.tar!" / "a.wav")
    assert split_member(uri) == (uri, "")
    assert split_member("/x/a.tar!/b!/c.wav") == ("/x/a.tar", "b!/c.wav")


def test_a_name_that_is_not_utf8_is_a_row_with_its_reason(tmp_path):
    sound(tmp_path / "ok.wav")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    try:
        os.link(os.fsencode(tmp_path / "ok.wav"), odd)
    except OSError:
        pytest.skip("the file system knows UTF-8 only")
    found, _ = listed(tmp_path)
    assert good(found) == ["ok.wav"]
    (bad,) = (f for f in found if f.problem)
    assert bad.path == "caf\\xe9.wav"
    assert "is not UTF-8; rename" in bad.problem


def test_linked_folders_are_followed_but_not_back_and_not_twice(tmp_path):
    sound(tmp_path / "elsewhere" / "ben" / "b.wav")
    sound(tmp_path / "in" / "ann" / "a.wav")
    (tmp_path / "in" / "linked").symlink_to("../elsewhere/ben")
    (tmp_path / "in" / "again").symlink_to("ann")
    (tmp_path / "in" / "loop").symlink_to("..")
    (tmp_path / "in" / "twice").symlink_to("../elsewhere")
    found, left_out = listed(tmp_path / "in")
    assert good(found) == ["ann/a.wav", "linked/b.wav"]
    assert [name for _, name in left_out.links] == ["again", "loop", "twice"]
    assert any("3 linked folders not followed, such as again" in line for line in left_out.lines())


def test_a_link_that_leads_nowhere_or_to_itself_is_a_row_with_its_reason(tmp_path):
    sound(tmp_path / "ok.wav")
    (tmp_path / "gone.wav").symlink_to("../moved/gone.wav")
    (tmp_path / "round.flac").symlink_to("round.flac")
    (tmp_path / "notes").symlink_to("../moved/notes")
    found, left_out = listed(tmp_path)
    assert good(found) == ["ok.wav"]
    reasons = {f.path: f.problem for f in found if f.problem}
    assert reasons.keys() == {"gone.wav", "round.flac"}
    assert "a link to what is not there; bring that back" in reasons["gone.wav"]
    assert "mend its link" in reasons["round.flac"]
    assert left_out.endings["s"] == {"without an ending": 1}


@pytest.fixture
def locked(tmp_path, monkeypatch) -> Path:
    """A source with a folder that nobody may list (root may list any, so the system is asked to refuse)."""
    sound(tmp_path / "ann" / "a.wav")
    (tmp_path / "lost+found").mkdir()
    real = os.scandir

    def refusing(path):
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    return tmp_path


def test_a_folder_that_may_not_be_listed_is_a_row_and_the_others_are_read(locked):
    found, _ = listed(locked)
    assert good(found) == ["ann/a.wav"]
    (bad,) = (f for f in found if f.problem)
    assert (bad.path, bad.group) == ("lost+found/", "")
    assert "cannot be listed (Permission denied)" in bad.problem


@pytest.mark.parametrize("rules", [{"exclude": ["lost+found/**"]}, {"exclude": ["**/lost+found/*"]}, {"include": ["ann/**"]}])
def test_a_folder_that_is_excluded_may_be_closed(locked, rules):
    assert [f.path for f in listed(locked, **rules)[0]] == ["ann/a.wav"]


def test_one_cut_or_empty_archive_among_many_stops_nothing(tmp_path):
    for name in ("a.wav", "b.wav"):
        sound(tmp_path / name)
    with tarfile.open(tmp_path / "whole.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(tmp_path / "a.wav", "g/a.wav")
        tar.add(tmp_path / "b.wav", "g/b.wav")
    data = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[:3500])
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "broken.tar").write_bytes(data[:2560] + b"x" * 512 + data[3072:])
    found, _ = listed(tmp_path / "*.tar")
    assert good(found) == ["broken.tar!/g/a.wav", "cut.tar!/g/a.wav", "whole.tar!/g/a.wav", "whole.tar!/g/b.wav"]
    problems = {f.path: f.problem for f in found if f.problem}
    assert set(problems) == {"broken.tar", "cut.tar", "empty.tar"}
    assert "1 members of it are whole and kept" in problems["cut.tar"]
    assert "header at byte" in problems["broken.tar"]
    with pytest.raises(SourceError, match=r"empty\.tar is damaged"):
        listed(tmp_path / "empty.tar")


def test_what_is_left_out_by_its_ending_is_counted_and_named(tmp_path):
    sound(tmp_path / "g" / "a.wav")
    for name in ("x.txt", "y.txt", "z.xyz", "noending", "skip/q.doc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    _, left_out = listed(tmp_path, exclude=["skip/**"])
    assert list(left_out.lines()) == ["source s: 4 files with other endings: 2 txt, 1 without an ending, 1 xyz"]


def test_archives_in_a_folder_are_counted_and_it_is_said_how_they_are_read(tmp_path):
    sound(tmp_path / "ann" / "a.wav")
    (tmp_path / "more.tar").write_bytes(b"")
    (line,) = listed(tmp_path)[1].lines()
    assert line == "source s: 1 file with other endings: 1 tar; for what archives hold, end the source's path in /*.tar"


@pytest.mark.parametrize("ending", ["m4a", "webm", "mp4", "mka", "wma", "wv", "mp2", "aac"])
def test_endings_that_people_have_are_recordings(tmp_path, ending):
    (tmp_path / f"a.{ending}").write_bytes(b"x")
    assert len(listed(tmp_path)[0]) == 1


def test_home_and_variables_in_paths_are_replaced(tmp_path, monkeypatch):
    sound(tmp_path / "data" / "g" / "a.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_DATA", str(tmp_path / "data"))
    for path in ("~/data", "$MY_DATA", "${MY_DATA}", "$MY_DATA/*/*.wav"):
        (found,) = listed(path)[0]
        assert found.uri == str(tmp_path / "data" / "g" / "a.wav")
    with pytest.raises(SourceError, match=r"does not exist; the variable \$NOBODY_SET_IT is not set"):
        listed("$NOBODY_SET_IT/x")


def test_a_folder_whose_name_looks_like_a_glob_is_a_folder(tmp_path):
    sound(tmp_path / "Album [FLAC]" / "g" / "a.wav")
    assert good(listed(tmp_path / "Album [FLAC]")[0]) == ["g/a.wav"]
