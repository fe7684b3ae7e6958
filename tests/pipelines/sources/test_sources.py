"""Sources of every kind give the same recordings, and nothing in them can point elsewhere."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile

from pipelines.manifest.model import Limits
from pipelines.manifest.sources import Rule, Source
from pipelines.sources.archives import _index, _plain_tar
from pipelines.sources.listing import Found, file_sha256, list_recordings, open_uri, rule_value
from stylefx.audio import read_audio
from stylefx.errors import UserError

FILES = ["ann/one/a.wav", "ann/one/b.WAV", "ben/two/c.flac", "ben/über ä.wav"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEFX_CACHE", str(tmp_path / "cache"))
    _index.cache_clear()
    _plain_tar.cache_clear()


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "data"
    for i, name in enumerate(FILES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = np.random.default_rng(i).uniform(-0.5, 0.5, (800, 1)).astype(np.float32)
        soundfile.write(path, audio, 8000, format=path.suffix[1:].upper())
    (root / "notes.txt").write_text("no audio")
    return root


def found(limits: Limits | None = None, **source) -> list[Found]:
    return list(list_recordings([Source.model_validate({"name": "s"} | source)], limits or Limits()))


def paths(**source) -> list[str]:
    return [f.path for f in found(**source)]


def pack_tar(folder: Path, target: Path, mode: str) -> Path:
    with tarfile.open(target, mode) as tar:
        for name in reversed(FILES):
            tar.add(folder / name, arcname=name)
    return target


def pack_zip(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.write(folder / name, name)
    return target


def test_a_folder_gives_its_audio_files_in_a_fixed_order(folder):
    assert paths(path=str(folder)) == sorted(FILES)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"include": ["*.wav"]}, ["ann/one/a.wav", "ben/über ä.wav"]),
        ({"include": ["ann/**"]}, ["ann/one/a.wav", "ann/one/b.WAV"]),
        ({"include": ["ann/*"]}, []),
        ({"include": ["*/*/*.flac", "ben/*.wav"]}, ["ben/two/c.flac", "ben/über ä.wav"]),
        ({"exclude": ["**/one/**"]}, ["ben/two/c.flac", "ben/über ä.wav"]),
        ({"include": ["[ab].*"]}, ["ann/one/a.wav", "ann/one/b.WAV"]),
    ],
)
def test_globs_choose_recordings(folder, rules, expected):
    assert paths(path=str(folder), **rules) == expected


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "memory", "glob", "glob of tars", "file url"])
def test_every_kind_of_source_gives_the_same_audio(folder, tmp_path, kind):
    if kind == "zip":
        path = str(pack_zip(folder, tmp_path / "x.zip"))
    elif kind.startswith("tar"):
        path = str(pack_tar(folder, tmp_path / f"x.{kind}", {"tar": "w"}.get(kind, f"w:{kind[4:]}")))
    elif kind == "memory":
        path = "memory://bucket/data"
        for name in FILES:
            fsspec.filesystem("memory").pipe(f"/bucket/data/{name}", (folder / name).read_bytes())
    elif kind == "glob":
        path = f"{folder}/**/*.*"
    elif kind == "glob of tars":
        pack_tar(folder, tmp_path / "only.tar", "w")
        path = f"{tmp_path}/on*.tar"
    else:
        path = f"file://{folder}"
    items = found(path=path)
    prefix = "only.tar!/" if kind == "glob of tars" else ""
    assert [f.path for f in items] == [prefix + name for name in sorted(FILES)]
    for item in items:
        name = item.path.removeprefix(prefix)
        with open_uri(item.uri) as source:
            audio, rate = read_audio(source, 100, 300, name=item.uri)
        expected, _ = soundfile.read(folder / name, dtype="float32", always_2d=True)
        assert rate == 8000
        assert np.array_equal(audio.T, expected[100:400])
        assert file_sha256(item.uri) == hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_lists_carry_group_label_licence_and_attribution(folder, suffix):
    rows = [
        {"file": "ben/über ä.wav", "who": "ben", "style": "warm", "lic": "CC0-1.0", "by": "Ben"},
        {"file": "ann/one/a.wav", "who": "ann", "style": "", "lic": "", "by": ""},
    ]
    target = folder / f"list.{suffix}"
    if suffix == "jsonl":
        target.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    else:
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t" if suffix == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    items = found(
        path=str(target),
        columns={"path": "file", "licence": "lic", "attribution": "by"},
        group={"column": "who"},
        label={"column": "style"},
        licence="CC-BY-4.0",
        attribution="all of us",
    )
    got = [(i.path, i.group, i.label, i.licence, i.attribution) for i in items]
    assert got == [
        ("ann/one/a.wav", "s/ann", "", "CC-BY-4.0", "all of us"),
        ("ben/über ä.wav", "s/ben", "warm", "CC0-1.0", "Ben"),
    ]
    assert all(Path(i.uri).exists() for i in items)


def test_a_listed_file_that_is_missing_becomes_a_row_with_its_reason(folder):
    (folder / "list.csv").write_text("path\nann/one/a.wav\ngone.wav\n")
    assert {i.path: i.problem for i in found(path=str(folder / "list.csv"))} == {"ann/one/a.wav": "", "gone.wav": "no such file"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "file\na.wav\n", "has no column 'path'; it has file"),
        ("l.csv", "path\na.wav\na.wav\n", "line 3 names a.wav again"),
        ("l.csv", "path\n../../etc/a.wav\n", "climbs out"),
        ("l.csv", b"path\n\xff\xfe\x00\n", "not a text list"),
        ("l.jsonl", '{"path": "a.wav"}\n{"path": ', "line 2 is not JSON"),
        ("l.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("l.jsonl", "[" * 100000, "line 1 is not JSON"),
        ("l.jsonl", '{"path": "a\\u0000.wav"}\n', "control characters"),
    ],
)
def test_a_broken_list_is_explained(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        found(path=str(tmp_path / name))


def test_a_webdataset_tar_gives_the_columns_of_its_json(folder, tmp_path):
    target = tmp_path / "w.tar"
    with tarfile.open(target, "w") as tar:
        for key, speaker in (("000001", "ann"), ("000002", "ben")):
            for suffix, data in (
                ("wav", (folder / FILES[0]).read_bytes()),
                ("json", json.dumps({"speaker": speaker, "n": 1}).encode()),
            ):
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    items = found(path=str(target), group={"column": "speaker"})
    assert [(i.path, i.group) for i in items] == [("000001.wav", "s/ann"), ("000002.wav", "s/ben")]


def evil_tar(target: Path, *names: str, link: bool = False) -> str:
    with tarfile.open(target, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = 4
                tar.addfile(info, io.BytesIO(b"RIFF"))
    return str(target)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../a.wav"], "points outside"),
        (["/etc/a.wav"], "points outside"),
        (["x/../../a.wav"], "points outside"),
        (["..\\a.wav"], "points outside"),
        (["C:a.wav"], "points outside"),
        (["a.wav", "a.wav"], "is there twice"),
        (["a\n.wav"], "cannot be used"),
        (["b.tar!/a.wav"], "cannot be used"),
    ],
)
def test_members_that_are_not_safe_are_refused(tmp_path, names, message):
    with pytest.raises(UserError, match=message):
        found(path=evil_tar(tmp_path / "evil.tar", *names))


def test_links_in_archives_are_not_followed(tmp_path):
    assert found(path=evil_tar(tmp_path / "evil.tar", "a.wav", link=True)) == []


def test_archives_are_unpacked_within_limits_only(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", bytes(30 << 20))
    with pytest.raises(UserError, match="more than 200 times its size"):
        found(path=str(tmp_path / "bomb.zip"))
    tight = Limits(archive_gb=1e-7)
    for target in (pack_tar(folder, tmp_path / "x.tar", "w"), pack_tar(folder, tmp_path / "x.tar.gz", "w:gz")):
        with pytest.raises(UserError, match=r"raise limits\.archive_gb"):
            found(limits=tight, path=str(target))
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.parametrize("name", ["x.tar", "x.zip", "x.tar.gz", "x.tar.xz"])
@pytest.mark.parametrize("keep", [0, 300, 0.6])
def test_a_damaged_archive_is_one_sentence(folder, tmp_path, name, keep):
    target = tmp_path / name
    if name == "x.zip":
        pack_zip(folder, target)
    else:
        pack_tar(folder, target, "w" if name == "x.tar" else f"w:{name[6:]}")
    data = target.read_bytes()
    target.write_bytes(data[: int(keep * len(data))] if keep == 0.6 else data[:keep])
    if name == "x.tar" and keep:  # what is whole in a tar that was cut may still be listed
        with contextlib.suppress(UserError):
            found(path=str(target))
        return
    with pytest.raises(UserError, match=r"x\.\w+"):
        found(path=str(target))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/no/such/folder", "does not exist"),
        ("memory://no/such", "there is nothing at"),
        ("nosuchprotocol://a", "cannot open"),
    ],
)
def test_a_source_that_is_not_there_is_refused(path, message):
    with pytest.raises(UserError, match=message):
        found(path=path)


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ({"parent": 1}, "train/p225/p225_001.wav", "p225"),
        ({"parent": 2}, "train/p225/p225_001.wav", "train"),
        ({"parent": 3}, "train/p225/p225_001.wav", None),
        ({"parent": 1}, "a.tar!/p1/x.wav", "p1"),
        ({"regex": r"(p\d+)_"}, "train/p225_001.wav", "p225"),
        ({"regex": r"(f|m)(\d)_"}, "daps/f3_script1.wav", "f-3"),
        ({"regex": r"-([mv])-", "names": {"m": "small"}, "otherwise": "others"}, "x-m-y.ogg", "small"),
        ({"regex": r"-([mv])-", "otherwise": "others"}, "x-y.ogg", "others"),
        ({"regex": r"-([mv])-"}, "x-y.ogg", None),
        ({"constant": "all"}, "x.ogg", "all"),
        ({"column": "speaker"}, "x.ogg", "ann"),
        ({"column": "nobody"}, "x.ogg", None),
    ],
)
def test_group_rules(rule, path, expected):
    assert rule_value(Rule.model_validate(rule), path, {"speaker": "ann"}) == expected


def test_sources_of_one_scope_share_their_groups(folder):
    a, b = ({"name": n, "path": str(folder), "group": {"parent": 1, "scope": "speakers"}} for n in "ab")
    groups = [f.group for f in list_recordings([Source.model_validate(s) for s in (a, b)], Limits())]
    assert set(groups) == {"speakers/one", "speakers/two", "speakers/ben"}


@pytest.mark.parametrize("kind", ["tar", "zip", "tar.gz", "tar.xz", "tar.bz2"])
@pytest.mark.parametrize("seed", range(24))
def test_a_corrupted_archive_gives_audio_or_one_sentence(folder, tmp_path, kind, seed):
    whole = tmp_path / f"x.{kind}"
    _ = pack_zip(folder, whole) if kind == "zip" else pack_tar(folder, whole, "w" if kind == "tar" else f"w:{kind[4:]}")
    data, rng = bytearray(whole.read_bytes()), np.random.default_rng(seed)
    for at in rng.integers(0, len(data), 1 + seed % 5):
        near_an_end = seed % 3 == 0
        data[at % 600 - 300 if near_an_end else at] ^= 1 << rng.integers(0, 8)
    whole.write_bytes(data)
    with contextlib.suppress(UserError):
        for item in found(path=str(whole)):
            with contextlib.suppress(UserError), open_uri(item.uri) as source:
                read_audio(source, name=item.uri)
