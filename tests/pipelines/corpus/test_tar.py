"""The tar writer against the standard library's, and the suspicious reader against damage."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.corpus.tar import TarWriter, header, walk
from stylefx.errors import DamageError
from tests.support.fuzz import fuzz

MEMBERS = {"k-0123456789abcdef-00000.a.input.flac": b"x" * 700, "k-0123456789abcdef-00000.json": b"{}", "e.json": b""}


def make_tar(members: dict[str, bytes]) -> tuple[bytes, list, str]:
    file = io.BytesIO()
    writer = TarWriter(file)
    placed = [writer.add(name, data) for name, data in members.items()]
    return (digest := writer.finish()) and (file.getvalue(), placed, digest)


def pieces(data: bytes, step: int = 300):
    return iter([data[i : i + step] for i in range(0, len(data), step)])


def walk_all(data: bytes, step: int = 300) -> list:
    return list(walk(pieces(data, step), len(data)))


@pytest.mark.parametrize(("name", "size"), [("a.json", 0), ("k" * 100, 123456789), ("a-b.c.flac", 8**11 - 1)])
def test_header_equals_the_standard_librarys(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    assert header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)


def test_tarfile_reads_what_is_written_at_the_stated_offsets():
    data, placed, digest = make_tar(MEMBERS)
    assert hashlib.sha256(data).hexdigest() == digest
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {m.name: (m.offset_data, m.size, tar.extractfile(m).read(), m.mtime, m.mode, m.uid) for m in tar}
    assert found == {m.name: (m.offset, m.size, MEMBERS[m.name], 0, 0o644, 0) for m in placed}


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "A.json", "k" * 101, "", ".hidden", "a\nb"])
def test_names_that_leave_the_tar_are_never_written(name):
    with pytest.raises(ValueError, match="not a member name"):
        header(name, 0)


@pytest.mark.parametrize("step", [1, 511, 512, 4096])
def test_walk_gives_every_member_whatever_the_pieces(step):
    data, placed, _ = make_tar(MEMBERS)
    assert [(m.name, m.offset, m.size) for m in walk_all(data, step)] == [(m.name, m.offset, m.size) for m in placed]


def test_a_cut_on_a_member_boundary_is_found():
    data, placed, _ = make_tar(MEMBERS)
    with pytest.raises(DamageError, match="without an end mark"):
        walk_all(data[: placed[1].offset - 512])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d + b"\0" * 512, "after the end mark"),
        (lambda d: d[:-512], "end mark .* incomplete"),
        (lambda d: d[:512] + d[512:1212] + b"!" + d[1213:], "padding"),
        (lambda d: d[:124] + b"77777777777" + d[135:], "damaged|cut"),
        (lambda d: b"../" + d[3:], "header at byte 0 is damaged"),
        (lambda d: d[:136] + b"1" + d[137:], "header of member .* is damaged"),
    ],
)
def test_each_damage_is_named(damage, message):
    data, _, _ = make_tar(MEMBERS)
    with pytest.raises(DamageError, match=message):
        walk_all(damage(data))


def test_a_member_that_is_there_twice_is_refused():
    one, _, _ = make_tar({"a.json": b"1"})
    two, _, _ = make_tar({"a.json": b"2"})
    with pytest.raises(DamageError, match="twice"):
        walk_all(one[:1024] + two)


@fuzz(150)
@given(st.binary(max_size=3000), st.integers(0, 2**32))
def test_no_bytes_make_the_reader_do_anything_but_refuse(noise, seed):
    """Random bytes, and random damage to a good tar: members or DamageError, nothing else."""
    good, _, _ = make_tar(MEMBERS)
    rng = random.Random(seed)
    at = rng.randrange(len(good))
    for data in (noise, good[:at] + noise + good[at:], good[:at] + noise[: len(good) - at] + good[at + len(noise) :]):
        with suppress(DamageError):
            walk_all(data)
