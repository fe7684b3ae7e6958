"""Fetching public corpora from servers that drop connections, lie and sulk; unpacking archives that mean harm."""

from __future__ import annotations

import hashlib
import http.server
import io
import stat
import tarfile
import threading
import zipfile

import click.testing
import numpy as np
import pytest

import pipelines.fetch.fetch as fetch_module
from pipelines.cli.fetch import fetch
from pipelines.fetch.corpora import PUBLIC_CORPORA, CorpusPart, PublicCorpus
from pipelines.fetch.download import Expected, Patience, download, remote_size
from pipelines.fetch.fetch import fetch_corpus, no_progress
from pipelines.fetch.unpack import UnpackLimits, unpack
from stylefx.errors import DamageError, IncompleteError, UserError

QUICK = Patience(attempts=4, first_pause_s=0.0, longest_pause_s=0.0, timeout_s=5.0)


class Server:
    """Serves bytes by path on the loopback interface; ``moods[path]`` is a list of what to do with the next requests."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.moods: dict[str, list] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.etag = '"v1"'
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self._answer(head=True)

            def do_GET(self):
                self._answer(head=False)

            def _answer(self, head: bool):
                owner.requests.append((self.command, self.path, self.headers.get("Range")))
                mood = owner.moods.get(self.path, [])
                mood = mood.pop(0) if mood and not head else None
                if isinstance(mood, int):
                    self.send_error(mood)
                    return
                data = owner.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                if mood == "wrong bytes":
                    data = bytes(len(data))
                wanted, start = self.headers.get("Range"), 0
                same = self.headers.get("If-Range", owner.etag) == owner.etag
                if wanted and same and mood != "ignore range":
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                    if start >= len(data):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(data)}")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(data) - start))
                self.send_header("ETag", owner.etag)
                self.end_headers()
                if not head:
                    end = start + (len(data) - start) // 3 if mood == "drop" else len(data)
                    self.wfile.write(data[start:end])

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def data() -> bytes:
    return np.random.default_rng(0).bytes(300_000)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _tar(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# -- downloading


def test_a_dropped_connection_is_resumed_where_it_broke(server, data, tmp_path):
    server.files["/a"] = data
    server.moods["/a"] = ["drop", 503, "drop"]
    seen = []
    expected = Expected(len(data), _sha256(data))
    download(server.url("/a"), tmp_path / "a", expected, lambda *p: seen.append(p), QUICK)
    assert (tmp_path / "a").read_bytes() == data
    ranges = [r for _, _, r in server.requests]
    assert ranges[0] is None
    assert ranges[1:] == [f"bytes={100_000}-", f"bytes={100_000}-", f"bytes={100_000 + 200_000 // 3}-"]
    assert seen[-1] == ("a", len(data), len(data))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_an_interrupted_call_is_continued_by_the_next(server, data, tmp_path):
    server.files["/a"] = data
    server.moods["/a"] = ["drop", 503, 503, 503, 503]
    expected = Expected(len(data), _sha256(data))
    with pytest.raises(IncompleteError, match=r"stopped after 100000 bytes .* call fetch again"):
        download(server.url("/a"), tmp_path / "a", expected, no_progress, QUICK)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "a.part").stat().st_size == 100_000
    download(server.url("/a"), tmp_path / "a", expected, no_progress, QUICK)
    assert server.requests[-1][2] == "bytes=100000-"
    assert (tmp_path / "a").read_bytes() == data


def test_attempts_count_only_while_nothing_arrives(server, data, tmp_path):
    server.files["/a"] = data
    server.moods["/a"] = ["drop"] * 15
    download(server.url("/a"), tmp_path / "a", Expected(), no_progress, QUICK)
    assert (tmp_path / "a").read_bytes() == data


def test_pauses_grow_and_stay_below_the_limit():
    patience = Patience(first_pause_s=1.0, longest_pause_s=10.0)
    assert [patience.pause_s(n) for n in range(1, 7)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_wrong_bytes_are_fetched_once_more_and_then_refused(server, data, tmp_path):
    server.files["/a"] = data
    expected = Expected(len(data), sha256=_sha256(data))
    server.moods["/a"] = ["wrong bytes"]
    download(server.url("/a"), tmp_path / "a", expected, no_progress, QUICK)
    assert (tmp_path / "a").read_bytes() == data
    server.moods["/a"] = ["wrong bytes", "wrong bytes"]
    with pytest.raises(DamageError, match="not what was published: its sha256 is"):
        download(server.url("/a"), tmp_path / "b", expected, no_progress, QUICK)
    wrong_md5 = Expected(md5="0" * 32)
    with pytest.raises(DamageError, match="its md5 is"):
        download(server.url("/a"), tmp_path / "b", wrong_md5, no_progress, QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_another_size_than_published_is_refused_before_the_download(server, data, tmp_path):
    server.files["/a"] = data
    with pytest.raises(DamageError, match="has 300000 bytes, published are 299999"):
        download(server.url("/a"), tmp_path / "a", Expected(299_999), no_progress, QUICK)


@pytest.mark.parametrize("mood", [None, "ignore range"])
def test_a_file_that_changed_or_a_server_without_ranges_starts_over(server, data, tmp_path, mood):
    server.files["/a"] = data
    server.moods["/a"] = ["drop", 503, 503, 503, 503]
    with pytest.raises(IncompleteError):
        download(server.url("/a"), tmp_path / "a", Expected(), no_progress, QUICK)
    if mood is None:
        server.files["/a"], server.etag = data[::-1], '"v2"'
    server.moods["/a"] = [mood]
    download(server.url("/a"), tmp_path / "a", Expected(), no_progress, QUICK)
    assert (tmp_path / "a").read_bytes() == server.files["/a"]


def test_a_whole_part_of_unknown_size_is_recognised(server, data, tmp_path):
    server.files["/a"] = data
    (tmp_path / "a.part").write_bytes(data)
    download(server.url("/a"), tmp_path / "a", Expected(sha256=_sha256(data)), no_progress, QUICK)
    assert (tmp_path / "a").read_bytes() == data
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_told_at_once(server, tmp_path, status):
    server.moods["/a"] = [status]
    with pytest.raises(UserError, match=f"HTTP {status}"):
        download(server.url("/a"), tmp_path / "a", Expected(), no_progress, QUICK)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_leaves_the_work_resumable(tmp_path):
    with pytest.raises(IncompleteError, match="call fetch again"):
        download("http://127.0.0.1:9/a", tmp_path / "a", Expected(), no_progress, QUICK)
    assert remote_size("http://127.0.0.1:9/a") is None


# -- unpacking


FILES = {"corpus/a/1.wav": b"one" * 1000, "corpus/a/2.wav": b"two", "corpus/b/mód 日本.txt": b""}


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
def test_archives_are_unpacked_without_the_junk_of_other_systems(tmp_path, kind):
    files = {**FILES, "corpus/a/._1.wav": b"junk", "__MACOSX/corpus/a/x": b"junk"}
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in files.items():
                target.writestr(name, content)
    else:
        archive.write_bytes(_tar(files, "w:gz" if kind == "tar.gz" else "w"))
    assert unpack(archive, tmp_path / "out") == 3
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == FILES
    assert not (tmp_path / "out/corpus/a/1.wav").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\..\\evil"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, name, kind):
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as target:
            target.writestr(name, b"x")
    else:
        archive.write_bytes(_tar({name: b"x"}, "w"))
    with pytest.raises(DamageError, match="leaves the folder"):
        unpack(archive, tmp_path / "deep/out")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(info)
    with pytest.raises(DamageError, match="not a plain file"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    linked = zipfile.ZipInfo("link")
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(linked, "/etc/passwd")
    with pytest.raises(DamageError, match="not a plain file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_link_that_lies_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/corpus").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a.tar").write_bytes(_tar(FILES, "w"))
    with pytest.raises(DamageError, match="lead out of it"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_bombs_are_refused(tmp_path):
    (tmp_path / "a.tgz").write_bytes(_tar({"zeros": bytes(3_000_000)}))
    with pytest.raises(DamageError, match="times its size"):
        unpack(tmp_path / "a.tgz", tmp_path / "out", UnpackLimits(allowance_bytes=1_000_000))
    (tmp_path / "b.tgz").write_bytes(_tar({f"{i}": b"" for i in range(50)}))
    with pytest.raises(DamageError, match="more than 49 files"):
        unpack(tmp_path / "b.tgz", tmp_path / "out", UnpackLimits(files=49))


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_damaged_archives_are_named(tmp_path, kind):
    archive, content = tmp_path / f"a.{kind}", np.random.default_rng(0).bytes(100_000)
    if kind == "tgz":
        archive.write_bytes(_tar({"a": content})[:50_000])
    else:
        with zipfile.ZipFile(archive, "w") as target:
            target.writestr("a", content)
        broken = bytearray(archive.read_bytes())
        broken[5000] ^= 0xFF
        archive.write_bytes(broken)
    with pytest.raises(DamageError, match="is damaged"):
        unpack(archive, tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


# -- corpora


def _corpus(server: Server, **options) -> PublicCorpus:
    parts = []
    for name in ("one", "two"):
        archive = _tar({f"toy/{name}/a.wav": name.encode() * 500})
        server.files[f"/{name}.tar.gz"] = archive
        parts.append(CorpusPart(name, server.url(f"/{name}.tar.gz?download=1"), len(archive), _sha256(archive)))
        server.files[f"/{name}.tar.gz?download=1"] = archive
    return PublicCorpus("toy", "a toy", "CC0", "http://localhost", tuple(parts), **options)


def test_a_corpus_is_fetched_unpacked_and_not_fetched_again(server, tmp_path):
    corpus = _corpus(server)
    server.moods["/one.tar.gz?download=1"] = ["drop"]
    folder = fetch_corpus(corpus, tmp_path, patience=QUICK)
    assert (folder / "toy/one/a.wav").read_bytes() == b"one" * 500
    assert (folder / "toy/two/a.wav").read_bytes() == b"two" * 500
    assert not list((tmp_path / ".stylefx-fetch").glob("*.tar.gz"))
    asked = len(server.requests)
    fetch_corpus(corpus, tmp_path, patience=QUICK)
    assert len(server.requests) == asked


def test_one_part_and_kept_archives(server, tmp_path):
    fetch_corpus(_corpus(server, folder="sub"), tmp_path, parts=["two"], keep_archives=True, patience=QUICK)
    assert not (tmp_path / "sub/toy/one").exists()
    assert (tmp_path / "sub/toy/two/a.wav").exists()
    assert [p.name for p in (tmp_path / ".stylefx-fetch").glob("*.gz")] == ["toy--two.tar.gz"]
    with pytest.raises(UserError, match="has no part 'three'; it has one, two"):
        fetch_corpus(_corpus(server), tmp_path, parts=["three"])


def test_checksums_of_a_published_list_are_used(server, tmp_path):
    corpus = _corpus(server, checksum_list=server.url("/sums"))
    sums = {name: _sha256(server.files[f"/{name}.tar.gz"]) for name in ("one", "two")}
    server.files["/sums"] = "".join(f"{s} {n}.tar.gz\n" for n, s in sums.items()).encode()
    fetch_corpus(corpus, tmp_path / "good", patience=QUICK)
    server.files["/sums"] = f"{'0' * 64} one.tar.gz\n".encode()
    with pytest.raises(DamageError, match="its sha256 is"):
        fetch_corpus(corpus, tmp_path / "bad", patience=QUICK)
    with pytest.raises(UserError, match=r"does not name two\.tar\.gz"):
        fetch_corpus(corpus, tmp_path / "bad", parts=["two"], patience=QUICK)


def test_tables_come_to_lie_beside_the_audio(server, tmp_path):
    server.files["/songs.tsv"] = b"PATH\ttoy/one/a.wav\n"
    fetch_corpus(_corpus(server, folder="sub", lists=(("songs.tsv", server.url("/songs.tsv")),)), tmp_path, patience=QUICK)
    assert (tmp_path / "sub/songs.tsv").read_bytes() == server.files["/songs.tsv"]
    assert (tmp_path / "sub/toy/one/a.wav").exists()


def test_a_full_disk_is_noticed_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(IncompleteError, match="GB free"):
        fetch_corpus(_corpus(server), tmp_path)
    assert server.requests == []


def test_the_command_shows_the_size_before_it_starts(server, tmp_path, monkeypatch):
    corpus = _corpus(server)
    monkeypatch.setitem(PUBLIC_CORPORA, "toy", corpus)
    run = click.testing.CliRunner().invoke
    listed = run(fetch, [])
    assert "libritts" in listed.output
    assert "toy" in listed.output
    dry = run(fetch, ["toy", str(tmp_path), "--dry-run"])
    assert "to download: 0.00 GB in 2 parts" in dry.output
    assert "checked by sha256" in dry.output
    assert server.requests == []
    done = run(fetch, ["toy", str(tmp_path), "-y"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.index("to download") < done.output.index("done:")
    assert "is complete" in run(fetch, ["toy", str(tmp_path)]).output
    assert isinstance(run(fetch, ["nothing", "."]).exception, UserError)


def test_the_size_comes_from_the_server_where_none_is_published(server):
    corpus = _corpus(server)
    unknown = tuple(CorpusPart(p.name, p.url) for p in corpus.parts)
    assert fetch_module.part_sizes(corpus, unknown) == [p.size_bytes for p in corpus.parts]


def test_the_table_is_sound():
    wanted = {"libritts", "vctk", "daps", "musdb18-hq", "mtg-jamendo", "librispeech-dev-clean", "fma-small", "fma-full"}
    assert wanted <= set(PUBLIC_CORPORA)
    for corpus in PUBLIC_CORPORA.values():
        assert corpus.licence
        assert len({p.name for p in corpus.parts}) == len(corpus.parts)
        for part in corpus.parts:
            assert part.url.startswith("https://")
            assert part.file_name.endswith((".zip", ".tar", ".tar.gz"))
            assert part.sha256 or part.md5 or part.sha1 or corpus.checksum_list
            assert part.sha1 is None or len(bytes.fromhex(part.sha1)) == 20
            assert part.sha256 is None or len(bytes.fromhex(part.sha256)) == 32
            assert part.md5 is None or len(bytes.fromhex(part.md5)) == 16
