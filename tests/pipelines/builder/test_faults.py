"""Each fault of disks, files and people ends in one clear sentence and an exit status, and a later run repairs it."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess

import pytest

from pipelines.builder.lease import Lease, Share
from pipelines.builder.progress import BuildProgress
from pipelines.builder.status import read_status
from pipelines.corpus.tar import TarWriter
from pipelines.storage.local import LocalStorage
from pipelines.storage.open import open_storage
from stylefx.errors import DamageError, IncompleteError, UserError
from tests.support.builds import hashes, manifest_for, run_build


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.ENOSPC, "no space left"), (errno.EDQUOT, "no space left"), (errno.EROFS, "no permission")]
)
def test_a_disk_that_fills_or_closes_half_way(sources, reference, tmp_path, monkeypatch, number, sentence):
    written = [0]
    put = TarWriter._put

    def fill(self, data):
        written[0] += len(data)
        if written[0] > 600_000:
            raise OSError(number, os.strerror(number))
        put(self, data)

    manifest = manifest_for(sources, tmp_path / "corpus")
    monkeypatch.setattr(TarWriter, "_put", fill)
    with pytest.raises(IncompleteError, match=f"{sentence}.*run the same command again"):
        run_build(manifest, executor="direct")
    committed = read_status(LocalStorage(tmp_path / "corpus")).committed
    assert 0 < committed < len(hashes(reference))
    monkeypatch.setattr(TarWriter, "_put", put)
    assert run_build(manifest, executor="direct").rendered_shards == len(hashes(reference)) - committed
    assert hashes(tmp_path / "corpus") == hashes(reference)


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one megabyte, where this may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode
    ):
        pytest.skip("mounting a small file system needs root: sudo python -m pytest ...")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_really_is_full(sources, reference, tiny_disk):
    manifest = manifest_for(sources, tiny_disk / "corpus")
    with pytest.raises(IncompleteError, match="no space left"):
        run_build(manifest, executor="inline")
    subprocess.run(["mount", "-o", "remount,size=100m", tiny_disk], check=True)
    run_build(manifest, executor="inline")
    assert hashes(tiny_disk / "corpus") == hashes(reference)


def test_an_output_that_cannot_be_written(sources):
    with pytest.raises(IncompleteError, match=r"no permission to write .* in /sys/stylefx-corpus"):
        run_build(manifest_for(sources, "/sys/stylefx-corpus"), executor="direct")


def test_an_output_that_is_a_file(sources, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        run_build(manifest_for(sources, tmp_path / "file"), executor="direct")


@pytest.mark.parametrize("change", ["vanish", "other audio", "cut"])
def test_a_recording_that_changes_after_planning(sources, reference, tmp_path, change):
    """Its samples fail with a reason, the build is incomplete; when it is restored, --retry-failed repairs the corpus."""
    folder = shutil.copytree(sources, tmp_path / "voices")
    manifest = manifest_for(folder, tmp_path / "corpus", limits={"max_failed_share": 0.0})
    from pipelines.builder.prepare import PrepareOptions, prepare

    prepare(manifest, manifest.output, PrepareOptions(workers=0))
    path = folder / "speaker-0/long.wav"
    data = path.read_bytes()
    if change == "vanish":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if change == "cut" else (folder / "speaker-0/clip 0.wav").read_bytes())
    message = "voices/speaker-0/long.wav " + ("is gone" if change == "vanish" else "changed since it was scanned")
    with pytest.raises(IncompleteError, match=f"limits.max_failed_share = 0 allows .*{message}.*--retry-failed"):
        run_build(manifest, executor="direct")
    path.write_bytes(data)
    summary = run_build(manifest, executor="direct", retry=("failed",))
    assert summary.finished
    assert hashes(tmp_path / "corpus") == hashes(reference)


@pytest.mark.parametrize("gone", [".tar", ".parquet", ".json"])
def test_a_deleted_file_of_a_shard_is_made_again(sources, reference, corpus, gone):
    (corpus / f"train/train-000001{gone}").unlink()
    assert run_build(manifest_for(sources, corpus), executor="direct").rendered_shards == 1
    assert hashes(corpus) == hashes(reference)


def test_a_tar_that_is_cut_on_a_member_boundary_is_made_again(sources, reference, corpus):
    import tarfile

    path = corpus / "train/train-000000.tar"
    with tarfile.open(path) as tar:
        cut = tar.getmembers()[5].offset
    with open(path, "r+b") as file:
        file.truncate(cut)
    log = io.StringIO()
    summary = run_build(manifest_for(sources, corpus), BuildProgress("lines", log), executor="direct")
    assert [name for name, _ in summary.repaired] == ["train/train-000000"]
    assert f"train/train-000000.tar has {cut} bytes, its sidecar says" in log.getvalue()
    assert hashes(corpus) == hashes(reference)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "stylefx-shard", "version": 1}', '{"format": "other"}', "[" * 100000]
)
def test_a_torn_sidecar_means_that_the_shard_is_made_again(sources, reference, corpus, text):
    (corpus / "train/train-000000.json").write_text(text)
    summary = run_build(manifest_for(sources, corpus), executor="direct")
    assert summary.rendered_shards == 1
    assert hashes(corpus) == hashes(reference)


def test_a_sidecar_of_another_manifest_stops_the_build_with_the_difference(sources, corpus):
    path = corpus / "train/train-000000.json"
    sidecar = json.loads(path.read_text())
    path.write_text(json.dumps({**sidecar, "manifest_digest": "0" * 32}))
    with pytest.raises(UserError, match=r'train/train-000000 .* another manifest or plan: manifest_digest was "0+", is'):
        run_build(manifest_for(sources, corpus), executor="direct")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "stylefx-corpus", "version": 1}'])
def test_a_damaged_corpus_json_is_never_overwritten(sources, corpus, text):
    (corpus / "corpus.json").write_text(text)
    with pytest.raises(DamageError, match=r"corpus\.json"):
        run_build(manifest_for(sources, corpus), executor="direct")
    assert (corpus / "corpus.json").read_text() == text


def test_stale_temporary_files_of_dead_builders_are_removed(sources, reference, corpus):
    stale = corpus / ".build/tmp/0123456789abcdef/train-000000.x.tar"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"x" * 1000)
    (corpus / ".build/tmp/index.json.abc").write_bytes(b"torn")
    run_build(manifest_for(sources, corpus), executor="direct")
    assert not [p for p in (corpus / ".build").rglob("*") if p.is_file()]
    assert hashes(corpus) == hashes(reference)


def test_two_builders_at_once(sources, corpus):
    """The second says who is there and leaves with exit status 3; --take-over breaks the lease, and the first one notices."""
    first = Lease(LocalStorage(corpus), Share(), dict)
    first.acquire()
    try:
        with pytest.raises(IncompleteError, match=rf"another builder \(process {os.getpid()} .*--take-over"):
            run_build(manifest_for(sources, corpus), executor="direct")
        assert run_build(manifest_for(sources, corpus), executor="direct", take_over=True).finished
        assert not first._storage.exists(first._name)
    finally:
        first.release()


@pytest.mark.parametrize(
    ("a", "b", "meet"), [((0, 1), (3, 8), True), ((0, 2), (1, 2), False), ((1, 4), (3, 6), True), ((0, 4), (1, 6), False)]
)
def test_leases_overlap_exactly_where_a_shard_is_in_both(a, b, meet):
    assert Share(*a).overlaps(Share(*b)) == meet
    assert meet == any(n in Share(*a) and n in Share(*b) for n in range(200))


def test_a_lease_of_a_dead_process_is_no_obstacle(sources, corpus):
    lease = Lease(LocalStorage(corpus), Share(), dict)
    content = json.loads(lease._content()) | {"pid": 2**22 + 1, "started_s": 0}
    (corpus / ".build/leases").mkdir(parents=True, exist_ok=True)
    (corpus / ".build/leases/0123.json").write_text(json.dumps(content))
    assert run_build(manifest_for(sources, corpus), executor="direct").finished


def test_names_never_leave_the_corpus(tmp_path):
    for name in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(UserError, match="is not a name inside"):
            open_storage(tmp_path).read(name)
