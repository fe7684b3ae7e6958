"""Readers of other projects; the suite installs few of them (docs/corpora/other-tools.md says which versions were run)."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from stylefx.corpus.reader import open_corpus
from tests.pipelines.corpus.test_interop import corpus, keys, tars  # noqa: F401
from tests.support.builds import HALF, RATE


def test_lhotse_makes_recordings_of_them(tars, keys):  # noqa: F811
    lhotse = pytest.importorskip("lhotse")
    import webdataset

    samples = webdataset.WebDataset(tars, shardshuffle=False)
    found = [lhotse.Recording.from_bytes(s["a.target.flac"], recording_id=s["__key__"]) for s in samples]
    assert [r.id for r in found] == keys
    assert (found[0].load_audio().shape, found[0].sampling_rate) == ((1, HALF), RATE)


def test_litdata_reads_the_raw_files(corpus, keys, tmp_path):  # noqa: F811
    """Tars and tables as they lie, one item a file."""
    litdata = pytest.importorskip("litdata")
    pytest.importorskip("zstd")
    shutil.copytree(corpus / "train", tmp_path / "train")
    dataset = litdata.StreamingRawDataset(str(tmp_path / "train"), cache_dir=str(tmp_path / "cache"))
    found = []
    for i in range(len(dataset)):
        data = dataset[i]
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                names = [m.name for m in tar if m.name.endswith(".a.target.flac")]
                found += [n.removesuffix(".a.target.flac") for n in names]
                assert soundfile.info(io.BytesIO(tar.extractfile(names[0]).read())).frames == HALF
    assert sorted(found) == sorted(keys)


def test_energon_cooks_them(corpus, keys, tmp_path):  # noqa: F811
    """Crude samples: bytes by the names of the members; its own index and split files lie beside a copy of the tars."""
    energon = pytest.importorskip("megatron.energon")
    import torch

    shutil.copytree(corpus / "train", tmp_path / "c/train")
    shards = sorted(str(p.relative_to(tmp_path / "c")) for p in tmp_path.glob("c/train/*.tar"))
    energon.BaseWebdatasetFactory.prepare_dataset(tmp_path / "c", shards, split_parts_patterns=[("val", "train/.*")], workers=1)
    described = "__module__: megatron.energon\n__class__: CrudeWebdataset\nauto_decode: false\n"
    (tmp_path / "c/.nv-meta/dataset.yaml").write_text(described)

    @dataclass
    class Half(energon.Sample):
        audio: torch.Tensor

    def cook(crude: dict) -> Half:
        audio, rate = soundfile.read(io.BytesIO(crude["a.target.flac"]), dtype="float32")
        assert rate == RATE
        return Half(**energon.basic_sample_keys(crude), audio=torch.from_numpy(audio))

    class Encoder(energon.DefaultTaskEncoder):
        cookers = [energon.Cooker(cook)]  # noqa: RUF012 - as its documentation has it

    only = energon.WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = energon.get_val_dataset(tmp_path / "c", worker_config=only, batch_size=1, task_encoder=Encoder())
    found = {batch.__key__[0]: batch.audio[0] for batch in energon.get_loader(dataset)}
    assert {key.rpartition("/")[2] for key in found} == set(keys)
    refs = open_corpus(corpus)
    first = refs.samples("train")[0]
    heard = next(audio for key, audio in found.items() if key.endswith(first.key))
    np.testing.assert_array_equal(heard.numpy()[None], refs.read(first, ["a.target"])["a.target"])


def test_a_stateful_loader_goes_on_where_it_was(corpus):  # noqa: F811
    """torchdata's loader over our reader: the state after two batches gives the batches that were left."""
    loaders = pytest.importorskip("torchdata.stateful_dataloader")
    import torch

    refs = open_corpus(corpus)
    samples = refs.samples("train")

    class Halves(torch.utils.data.Dataset):
        def __len__(self):
            return len(samples)

        def __getitem__(self, i):
            return samples[i].key, torch.from_numpy(refs.read(samples[i], ["a.target"])["a.target"])

    def loader():
        return loaders.StatefulDataLoader(Halves(), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(0))

    first = loader()
    batches = iter(first)
    for _ in range(2):
        next(batches)
    state, rest = first.state_dict(), [key for names, _ in batches for key in names]
    again = loader()
    again.load_state_dict(state)
    assert [key for names, _ in again for key in names] == rest
