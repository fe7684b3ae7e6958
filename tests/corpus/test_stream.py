"""Tars without an index: ours and foreign ones, from files, pipes and http, in a keyed order that can be resumed."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
import soundfile as sf

from stylefx.corpus.batch import Marks
from stylefx.corpus.stream import StreamLoader, StreamSet
from stylefx.errors import DamageError, UserError
from tests.support.stored_corpus import make_corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three shards of ours, and a foreign tar of recordings at another rate, in stereo and of unequal lengths."""
    root = make_corpus(tmp_path_factory.mktemp("c") / "c", {"train": [4, 3, 5]})
    rng = np.random.default_rng(0)
    for number in range(2):
        with tarfile.open(root / f"foreign-{number}.tar", "w") as tar:
            for i, seconds in enumerate((0.2, 1.0, 0.5)):
                buffer = io.BytesIO()
                sf.write(buffer, 0.1 * rng.standard_normal((int(16000 * seconds), 2)), 16000, format="FLAC")
                info = tarfile.TarInfo(f"clip{number}{i}.flac")
                info.size = len(buffer.getvalue())
                buffer.seek(0)
                tar.addfile(info, buffer)
    return root


def loaded(urls, *, first=0, last=6, micro=4, rank=0, world=1, **options):
    data = StreamSet(urls, 24000, 4096, seed=2, buffer=3, **options)
    return list(StreamLoader(data, micro=micro, rank=rank, world=world, start_step=first, stop_step=last))


def as_they_are(key, epoch, dry, dry_reference, other, label=""):
    return {"input": dry, "target": dry, "reference": dry_reference}, Marks()


def test_every_sample_comes_once_per_epoch_and_epochs_differ(folder):
    batches = loaded([f"{folder}/train/train-{{000000..000002}}.tar"])
    keys, epochs = [k for b in batches for k in b.keys], [e for b in batches for e in b.epochs]
    assert epochs == [0] * 12 + [1] * 12
    assert len(set(keys[:12])) == len(set(keys[12:])) == 12
    assert keys[:12] != keys[12:]
    assert batches[0].input.shape == (4, 1, 4096)


def test_a_folder_stands_for_its_tars(folder, tmp_path):
    assert StreamSet([str(folder / "train")], 24000, 4096).urls == [f"{folder}/train/train-{i:06d}.tar" for i in range(3)]
    with pytest.raises(UserError, match=r"holds no \.tar; give data\.corpora tars"):
        StreamSet([str(tmp_path)], 24000, 4096)


def test_going_on_gives_the_rest_of_the_sequence(folder):
    urls = [f"{folder}/train/train-{{000000..000002}}.tar"]
    whole = loaded(urls)
    rest = loaded(urls, first=4)
    for a, b in zip(whole[4:], rest, strict=True):
        assert a.keys == b.keys
        assert np.array_equal(a.input, b.input)


def test_ranks_read_different_shards(folder):
    urls = [f"{folder}/train/train-{{000000..000001}}.tar"]
    keys = [{k for b in loaded(urls, micro=2, last=1, rank=r, world=2) for k in b.keys} for r in (0, 1)]
    assert not keys[0] & keys[1]
    with pytest.raises(UserError, match="2 tars cannot be dealt to 3 processes"):
        loaded(urls, rank=0, world=3)


def test_foreign_recordings_become_dry_halves(folder):
    batches = loaded([f"{folder}/foreign-{{0..1}}.tar"], renderer=as_they_are, micro=3, last=4)
    assert all(b.dry.shape == b.dry_reference.shape == (3, 1, 4096) for b in batches)
    assert all(np.abs(b.dry).max() > 0.01 for b in batches)
    with pytest.raises(UserError, match=r"has no '[ab].input'; tars of plain recordings need data.render=online"):
        loaded([f"{folder}/foreign-0.tar"])


def test_pipes_and_http_read_what_files_read(folder):
    want = loaded([f"{folder}/train/train-000000.tar"], last=1)[0]

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        urls = [f"pipe:cat {folder}/train/train-000000.tar", f"http://127.0.0.1:{server.server_port}/train/train-000000.tar"]
        for url in urls:
            got = loaded([url], last=1)[0]
            assert got.keys == want.keys
            assert np.array_equal(got.input, want.input)
    finally:
        server.shutdown()


def test_tars_without_samples_and_damaged_members_are_named(folder, tmp_path):
    tarfile.open(tmp_path / "empty.tar", "w").close()
    with pytest.raises((UserError, ValueError), match=r"empty|no samples"):
        loaded([str(tmp_path / "empty.tar")])
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        info = tarfile.TarInfo("x.flac")
        info.size = 10
        tar.addfile(info, io.BytesIO(b"0123456789"))
    with pytest.raises(DamageError, match=r"sample x of .*bad.tar cannot be decoded"):
        loaded([str(tmp_path / "bad.tar")], renderer=as_they_are, micro=1)
