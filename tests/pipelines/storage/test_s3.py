"""Corpora in object stores: sources and output over the S3 protocol, against servers on loopback.

nanio checks signatures; localbucket keeps conditional PUT. Builds use no conditional PUT, so that none is needed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.builder.status import read_status
from pipelines.storage.objects import ObjectStorage
from pipelines.storage.open import open_storage
from pipelines.verify.run import drop, run_verify
from stylefx.errors import IncompleteError, UserError
from stylefx.files import patience
from stylefx.files.address import redact, safe_uri
from tests.support.builds import hashes, manifest_for, run_build

pytest.importorskip("s3fs", reason="pip install 'stylefx[s3]'")

KEY, SECRET = "AKIAEXAMPLEEXAMPLE12", "very/secret+value-of-the-test"


class Server:
    """One S3 server on a port of loopback that can be killed and started again."""

    def __init__(self, kind: str, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.kind, self.folder, self.process = kind, folder, None
        self.log = folder.with_name(f"{kind}.log")
        folder.mkdir()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        commands = {
            "nanio": [sys.executable, "-m", "nanio", "serve", "--data-dir", str(self.folder), *place],
            "localbucket": [sys.executable, "-m", "localbucket", *place, str(self.folder)],
        }
        env = {**os.environ, "NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(commands[self.kind], stdout=log, stderr=log, env=env)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, self.log.read_text()
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    started = {}

    def get(kind: str) -> Server:
        if kind not in started:
            started[kind] = Server(kind, tmp_path_factory.mktemp(kind) / "data")
        return started[kind]

    yield get
    for server in started.values():
        server.kill()


@pytest.fixture
def use(servers, monkeypatch):
    """Point the environment to a server with an empty bucket; returns (server, "s3://bucket")."""
    import s3fs

    def point(kind: str, secret: str = SECRET) -> tuple[Server, str]:
        server = servers(kind)
        for name, value in {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": server.url,
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        bucket = f"b{time.time_ns()}"
        if secret == SECRET:
            s3fs.S3FileSystem().mkdir(bucket)
        return server, f"s3://{bucket}"

    yield point
    s3fs.S3FileSystem.clear_instance_cache()


def remote_hashes(storage) -> dict[str, str]:
    import hashlib

    return {n: hashlib.sha256(storage.read(n)).hexdigest() for n in sorted(storage.list()) if n.endswith(".tar")}


@pytest.mark.parametrize("kind", ["nanio", "localbucket"])
def test_a_corpus_in_a_bucket_is_the_same_as_in_a_folder(sources, reference, use, kind):
    """Recordings and corpus both in the bucket; built in child processes, verified, damaged, repaired."""
    import s3fs

    _, bucket = use(kind)
    s3fs.S3FileSystem().put(str(sources), f"{bucket}/voices", recursive=True)
    out = f"{bucket}/corpus"
    manifest = manifest_for(f"{bucket}/voices", out)
    summary = run_build(manifest, executor="inline", workers=2)
    assert summary.finished
    storage = open_storage(out)
    assert remote_hashes(storage) == hashes(reference)
    report = run_verify(storage, deep_share=0.2)
    assert report.findings == []
    assert report.rendered_again > 0
    assert read_status(storage).text().startswith(f"{out}: finished")
    assert not [n for n in storage.list() if n.startswith(".build/")]
    data = bytearray(storage.read("train/train-000000.tar"))
    data[3000] ^= 1
    storage.write("train/train-000000.tar", bytes(data))
    storage.delete("val/val-000000.parquet")
    report = run_verify(storage)
    assert {f.shard for f in report.findings} == {"train/train-000000", "val/val-000000"}
    drop(storage, report)
    assert run_build(manifest, executor="direct").rendered_shards == 2
    assert remote_hashes(storage) == hashes(reference)


def test_every_file_is_committed_by_one_put(sources, use):
    server, bucket = use("nanio")
    before = server.log.read_text().count("PUT /")
    run_build(manifest_for(sources, f"{bucket}/corpus"), executor="direct")
    log = server.log.read_text().splitlines()
    puts = [line for line in log if f'"PUT /{bucket[5:]}/corpus/train/train-000000' in line]
    assert len(puts) == 3, (before, puts)
    assert not [line for line in log if "uploads" in line or "uploadId" in line]


def test_the_server_is_killed_and_restarted_in_the_middle_of_a_build(sources, reference, use):
    """The build waits for it, and the corpus is as if nothing had happened."""
    server, bucket = use("nanio")
    out = f"{bucket}/corpus"
    storage = open_storage(out)
    killed = threading.Event()

    def disturb():
        while not any(n.endswith(".json") and n.startswith(("train/", "val/", "test/")) for n in storage.list()):
            time.sleep(0.02)
        server.kill()
        killed.set()
        time.sleep(1.5)
        server.start()

    thread = threading.Thread(target=disturb)
    thread.start()
    summary = run_build(manifest_for(sources, out), executor="inline")
    thread.join()
    assert killed.is_set()
    assert summary.finished
    assert remote_hashes(storage) == hashes(reference)


def test_a_server_that_stays_away_ends_in_a_sentence(sources, use, monkeypatch):
    monkeypatch.setattr(patience, "SERVER", replace(patience.SERVER, total_s=0.1))
    _, bucket = use("nanio")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(IncompleteError, match=r"failed to read corpus.json .* run the same command again"):
        run_build(manifest_for(sources, f"{bucket}/corpus"), executor="direct")


def test_wrong_credentials_end_in_a_sentence_that_does_not_tell_them(sources, use):
    _, bucket = use("nanio", secret="wrong-secret-wrong-secret")
    with pytest.raises(IncompleteError, match="check the credentials") as caught:
        run_build(manifest_for(sources, f"{bucket}/corpus"), executor="direct")
    text = str(caught.value) + repr(caught.value.__cause__)
    assert KEY not in text
    assert "wrong-secret" not in text


def test_credentials_are_in_no_file_of_a_corpus(sources, use, tmp_path):
    import s3fs

    _, bucket = use("nanio")
    s3fs.S3FileSystem().put(str(sources), f"{bucket}/voices", recursive=True)
    run_build(manifest_for(f"{bucket}/voices", tmp_path / "corpus"), executor="inline")
    run_build(manifest_for(f"{bucket}/voices", f"{bucket}/corpus"), executor="direct")
    storage = open_storage(f"{bucket}/corpus")
    everything = [p.read_bytes() for p in (tmp_path / "corpus").rglob("*") if p.is_file()]
    everything += [storage.read(name) for name in storage.list()]
    assert len(everything) > 40
    for data in everything:
        assert KEY.encode() not in data
        assert SECRET.encode() not in data


def test_addresses_with_credentials_are_refused():
    with pytest.raises(UserError, match="contains credentials") as caught:
        open_storage("s3://user:password@bucket/corpus")
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET https://k:s@host/x failed", "GET https://host/x failed"),
        (f"Signature={'a' * 20}, rest", "Signature=***, rest"),
        (f"key {KEY} is unknown", "key *** is unknown"),
        ("aws_secret_access_key=abc/def", "aws_secret_access_key=***"),
    ],
)
def test_foreign_messages_are_redacted(text, clean):
    assert redact(text) == clean


def test_addresses_are_shown_without_what_is_private():
    assert safe_uri("s3://user:pass@bucket/c?X-Amz-Signature=abc") == "s3://bucket/c"


def test_a_storage_that_crosses_processes_carries_no_credentials(use):
    import pickle

    _, bucket = use("nanio")
    data = pickle.dumps(ObjectStorage(f"{bucket}/corpus"))
    assert KEY.encode() not in data
    assert SECRET.encode() not in data
