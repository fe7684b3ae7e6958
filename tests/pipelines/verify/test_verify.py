"""verify finds every damage and names shard and sample; what it drops, the next build makes again."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from pipelines.manifest.model import Manifest
from pipelines.storage.local import LocalStorage
from pipelines.verify.deep import compare_loudness, within_one_step
from pipelines.verify.report import VerifyReport
from pipelines.verify.run import drop, run_verify
from pipelines.verify.shards import read_rows
from pipelines.workers.environment import environment, environment_digest
from stylefx.errors import DamageError, UserError
from tests.support.builds import hashes, manifest_for, run_build

SHARD = "train/train-000000"


def findings(corpus: Path) -> list[str]:
    return [str(f) for f in run_verify(LocalStorage(corpus)).findings]


def members(corpus: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(corpus / f"{SHARD}.tar") as tar:
        return tar.getmembers()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_an_undamaged_corpus_has_no_findings(reference):
    report = run_verify(LocalStorage(reference), deep_share=1.0)
    assert report.findings == []
    assert report.missing == []
    assert report.rendered_again == report.samples > 20
    assert report.level == "bytes (same environment)"
    assert 0.0 < report.loudness_error_lu < 0.01
    assert "within 0.00" in report.text()
    assert report.groups == 3
    assert report.contents >= 15


def test_a_corpus_that_another_encoder_wrote_is_verified_to_the_sample_and_resumed(sources, tmp_path, monkeypatch):
    def by_libsndfile(samples, rate, bits):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples.T.astype(np.int32) << (32 - bits), rate, format="FLAC", subtype=f"PCM_{bits}")
        return buffer.getvalue()

    def forget() -> None:
        environment.cache_clear()
        environment_digest.cache_clear()

    manifest = manifest_for(sources, tmp_path / "old", selection={"hours": 0.01})
    with monkeypatch.context() as other:
        other.setattr("stylefx.audio.writing.encode_flac", by_libsndfile)
        other.setattr("stylefx.audio.flac.ENCODER", "libsndfile")
        forget()
        run_build(manifest, executor="direct")
    forget()
    storage = LocalStorage(tmp_path / "old")
    report = run_verify(storage, deep_share=1.0)
    assert report.findings == []
    assert report.level == "1 LSB for 99.99 % of the samples (another environment)"
    old = {path: path.read_bytes() for path in (tmp_path / "old").glob("*/*.tar")}
    gone = tmp_path / "old" / f"{SHARD}.tar"
    gone.unlink()
    assert len(old) > 1
    run_build(manifest, executor="direct")
    assert gone.read_bytes() != old.pop(gone)
    assert all(path.read_bytes() == content for path, content in old.items())
    assert run_verify(storage, deep_share=1.0).findings == []


def test_a_recorded_loudness_that_pyloudnorm_does_not_find_is_damage(reference):
    storage = LocalStorage(reference)
    manifest = Manifest.model_validate(json.loads((reference / "corpus.json").read_text())["manifest"])
    row = next(r for r in read_rows(storage.read(f"{SHARD}.parquet")) if r["status"] == "ok")
    stored = {s: storage.read(f"{SHARD}.tar", o, o + n) for s, (o, n) in row["members"].items()}
    assert compare_loudness(manifest, stored, VerifyReport()) == ""
    document = json.loads(stored["json"])
    document["metrics"]["target_lufs"] += 0.4
    what = compare_loudness(manifest, stored | {"json": json.dumps(document).encode()}, VerifyReport())
    assert re.fullmatch(r"its target_lufs is -\d+\.\d\d, pyloudnorm measures -\d+\.\d\d", what)


@pytest.mark.parametrize("place", ["data", "header", "padding", "end"])
def test_a_flipped_byte_is_traced_to_its_sample(sources, reference, corpus, place):
    member = members(corpus)[7]
    path = corpus / f"{SHARD}.tar"
    at = {
        "data": member.offset_data + member.size // 2,
        "header": member.offset + 3,
        "padding": member.offset_data + member.size,
        "end": path.stat().st_size - 1,
    }[place]
    assert place != "padding" or member.size % 512
    flip(path, at)
    found = findings(corpus)
    assert found
    assert all(f.startswith(SHARD) for f in found)
    if place != "end":
        assert member.name.split(".")[0] in " ".join(found)
    storage = LocalStorage(corpus)
    assert drop(storage, run_verify(storage)) == [SHARD]
    run_build(manifest_for(sources, corpus), executor="direct")
    assert hashes(corpus) == hashes(reference)
    assert findings(corpus) == []


def test_every_single_flipped_byte_of_a_tar_is_found(corpus):
    """Bytes drawn over the whole file: headers, data, padding, end mark."""
    path = corpus / f"{SHARD}.tar"
    good = path.read_bytes()
    for at in np.random.default_rng().integers(0, len(good), 40):
        flip(path, int(at))
        assert findings(corpus), at
        path.write_bytes(good)


def cut(corpus: Path) -> None:
    end = members(corpus)[5].offset
    with open(corpus / f"{SHARD}.tar", "r+b") as file:
        file.truncate(end)


def swap_sidecar(corpus: Path) -> None:
    shutil.copy(corpus / "train/train-000001.json", corpus / f"{SHARD}.json")


def swap_member(corpus: Path) -> None:
    """Two members change places: the names stay right, the offsets do not."""
    path = corpus / f"{SHARD}.tar"
    with tarfile.open(path) as tar:
        files = [(m, tar.extractfile(m).read()) for m in tar]
    files[0], files[1] = files[1], files[0]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in files:
            tar.addfile(info, io.BytesIO(data))


def edit_table(corpus: Path) -> None:
    path = corpus / f"{SHARD}.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows - 1), path)


def edit_index(corpus: Path) -> None:
    index = json.loads((corpus / "index.json").read_text())
    index["shards"][0]["sha256"] = "0" * 64
    (corpus / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, f"{SHARD}: .*the tar ends at byte|{SHARD}.tar has"),
        (lambda c: (c / f"{SHARD}.tar").unlink(), f"{SHARD}.tar is missing"),
        (lambda c: (c / f"{SHARD}.parquet").unlink(), f"{SHARD}.parquet is missing"),
        (lambda c: (c / f"{SHARD}.json").unlink(), f"{SHARD}: the shard is gone, index.json lists it"),
        (lambda c: (c / f"{SHARD}.json").write_text("{"), f"{SHARD}.json is not a sidecar"),
        (swap_sidecar, "another manifest or plan"),
        (swap_member, "lies at"),
        (edit_table, "table .* is not what was committed|is not in the table"),
        (edit_index, "index.json and the sidecar state different sha256"),
        (lambda c: (c / "index.json").write_text("{"), "index.json is damaged"),
    ],
)
def test_each_damage_is_found_and_named(corpus, damage, message):
    import re

    damage(corpus)
    found = findings(corpus)
    assert any(re.search(message, f) for f in found), found


def test_groups_and_audio_on_two_sides_are_found(reference, corpus, monkeypatch):
    """A plan that puts one group, and one recording's content, into two splits."""
    from dataclasses import replace

    from pipelines.verify import splits as verify_sides

    real = verify_sides.read_shard

    def read(path, number):
        samples = real(path, number)
        if samples[0].split == "val":
            part = real(path, 0)[0].parts[0]
            samples[0] = replace(samples[0], group="voices/speaker-0", parts=(part,))
        return samples

    monkeypatch.setattr(verify_sides, "read_shard", read)
    found = " ".join(findings(corpus))
    assert "group 'voices/speaker-0' is in train and val" in found
    assert "audio '" in found


def test_equal_samples_in_unlike_files_are_the_same_audio(corpus):
    """The catalog says that a recording of the validation split holds the samples of one of the training split."""
    path = corpus / "catalog-0000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    content = {row["path"]: row["content"] for row in rows}
    for row in rows:
        if row["path"].startswith("speaker-1/long"):
            row["content"] = next(c for p, c in content.items() if p.startswith("speaker-0/long"))
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    assert any(f.startswith("audio '") and "train and val" in f for f in findings(corpus))


def test_deep_verification_finds_a_sample_that_its_recipe_does_not_give(sources, tmp_path, monkeypatch):
    """A corpus whose hashes are all right, but whose audio was rendered with another gain."""
    from pipelines.render import sample as render

    real = render.protect
    monkeypatch.setattr(render, "protect", lambda audio, steps, bits: real(audio * np.float32(0.9), steps, bits))
    run_build(manifest_for(sources, tmp_path / "corpus"), executor="direct")
    monkeypatch.setattr(render, "protect", real)
    assert run_verify(LocalStorage(tmp_path / "corpus")).findings == []
    report = run_verify(LocalStorage(tmp_path / "corpus"), deep_share=0.5, seed=3)
    assert report.rendered_again > 3
    assert len(report.findings) == report.rendered_again
    assert "differs from what its recipe gives, in the same environment" in str(report.findings[0])


@pytest.mark.parametrize(("steps", "share", "same"), [(1, 1.0, True), (2, 0.00005, True), (2, 0.01, False)])
def test_the_level_between_environments_is_one_step_for_9999_in_10000(steps, share, same):
    rng = np.random.default_rng(0)
    a = rng.integers(-1000, 1000, 100_000).astype(np.int16)
    b = a + (steps * (rng.random(a.size) < share)).astype(np.int16)
    files = []
    for audio in (a, b):
        buffer = io.BytesIO()
        soundfile.write(buffer, audio, 24000, format="FLAC", subtype="PCM_16")
        files.append(buffer.getvalue())
    assert (within_one_step(*files) == "") == same


def test_what_is_no_corpus_is_said_to_be_none(tmp_path):
    with pytest.raises(UserError, match="holds no corpus"):
        run_verify(LocalStorage(tmp_path))


@pytest.mark.parametrize("name", ["plan-0000.parquet", "catalog-0000.parquet"])
def test_a_damaged_plan_is_no_traceback(corpus, name):
    (corpus / name).write_bytes(b"PAR1 nonsense PAR1")
    if name.startswith("plan"):
        with pytest.raises((UserError, DamageError)):
            run_verify(LocalStorage(corpus))
    else:
        assert findings(corpus) == []


def test_a_table_of_another_shape_is_refused():
    from pipelines.verify.shards import read_rows

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"key": ["a"]}), sink)
    with pytest.raises(DamageError, match="cannot be read"):
        read_rows(sink.getvalue().to_pybytes())
