"""A scan in shares, or on other nodes, makes the catalog that one machine makes; what was measured is not measured again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from pipelines.builder.prepare import PrepareOptions, prepare
from pipelines.catalog import parts as parts_module
from pipelines.catalog import scan as scan_module
from pipelines.catalog import tasks as tasks_module
from pipelines.catalog.parts import ScanParts, batches
from pipelines.catalog.scan import scan
from pipelines.cli.main import cli
from pipelines.manifest.model import Manifest
from pipelines.sources.listing import list_recordings
from pipelines.storage.local import LocalStorage
from pipelines.workers.direct import DirectExecutor
from stylefx.errors import StylefxError


@pytest.fixture
def voices(tmp_path, monkeypatch) -> Path:
    """Forty short recordings and one that is none, in batches of about four."""
    monkeypatch.setattr(parts_module, "_MEAN", 4)
    monkeypatch.setattr(parts_module, "_MOST", 6)
    folder = tmp_path / "voices"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        soundfile.write(folder / f"{number:02d}.wav", 0.1 * rng.standard_normal(2000), 8000)
    (folder / "07.wav").write_bytes(b"no audio")
    return folder


def manifest(folder: Path) -> Manifest:
    sources = [{"name": "s", "path": str(folder), "group": {"constant": "g"}}]
    splits = {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}}
    segment = {"half_frames": 512, "sample_rate": 8000}
    limits = {"max_unreadable_share": 0.5}
    return Manifest.model_validate(
        {"name": "t", "output": "o", "sources": sources, "limits": limits, "split": splits, "segment": segment}
    )


def pipe(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def alone(folder: Path, out: Path) -> bytes:
    scan(manifest(folder), out, workers=0)
    return out.read_bytes()


def test_shares_in_any_order_then_a_merge_give_the_same_catalog_byte_for_byte(voices, tmp_path, monkeypatch):
    given = tmp_path / "m.yaml"
    given.write_text(yaml.safe_dump(manifest(voices).to_dict()))
    out = tmp_path / "catalog.parquet"
    for share in ("2/3", "0/3", "1/3"):
        pipe("scan", given, "-o", out, "--shards", share, "--workers", 0)
    monkeypatch.setattr(scan_module, "measure_recording", lambda task: pytest.fail(f"{task[0].path} was measured again"))
    pipe("scan", given, "-o", out, "--workers", 0)
    monkeypatch.undo()
    assert out.read_bytes() == alone(voices, tmp_path / "alone.parquet")
    assert not (tmp_path / "catalog.parquet.parts").exists()


def test_a_share_that_was_killed_goes_on_with_the_batches_that_are_missing(voices, tmp_path, monkeypatch):
    parts, measured = ScanParts(LocalStorage(tmp_path / "parts"), ""), []
    measure = scan_module.measure_recording

    def killed_half_way(task):
        if len(measured) == 20:
            raise KeyboardInterrupt
        measured.append(task[0].path)
        return measure(task)

    monkeypatch.setattr(scan_module, "measure_recording", killed_half_way)
    with pytest.raises(KeyboardInterrupt):
        scan_module.scan_share(manifest(voices), parts, (0, 1), workers=0)
    monkeypatch.setattr(scan_module, "measure_recording", lambda task: measured.append(task[0].path) or measure(task))
    before, parts = len(measured), ScanParts(LocalStorage(tmp_path / "parts"), "")
    published = sum(
        len(b.found) for b in batches(list_recordings(manifest(voices).sources, manifest(voices).limits)) if parts.has(b)
    )
    assert 20 - 6 < published <= 20
    scan_module.scan_share(manifest(voices), parts, (0, 1), workers=0)
    assert len(measured) - before == 40 - published


def test_a_recording_more_changes_one_batch(voices):
    listing = list(list_recordings(manifest(voices).sources, manifest(voices).limits))
    whole, without = ({b.digest for b in batches(found)} for found in (listing, listing[:13] + listing[14:]))
    assert len(whole) > 6
    assert len(whole - without) <= 2


def test_a_damaged_part_is_measured_again(voices, tmp_path):
    storage = LocalStorage(tmp_path / "corpus")
    scan_module.scan_share(manifest(voices), ScanParts(storage), (0, 1), workers=0)
    for path in list((tmp_path / "corpus/.build/scan").glob("*.parquet"))[:3]:
        path.write_bytes(path.read_bytes()[:-40])
    scan(manifest(voices), tmp_path / "c.parquet", workers=0, parts=ScanParts(storage))
    assert (tmp_path / "c.parquet").read_bytes() == alone(voices, tmp_path / "alone.parquet")


def test_a_build_scans_where_its_executor_runs_and_leaves_no_parts(voices, tmp_path, monkeypatch):
    used = []

    def cluster(work):
        used.append(DirectExecutor(work))
        return used[-1]

    monkeypatch.setattr(scan_module, "measure_recording", lambda task: pytest.fail("measured in the driver"))
    prepare(manifest(voices), str(tmp_path / "corpus"), PrepareOptions(workers=0, cluster=cluster))
    monkeypatch.undo()
    assert len(used) == 1
    assert (tmp_path / "corpus/catalog-0000.parquet").read_bytes() == alone(voices, tmp_path / "alone.parquet")
    assert not [p for p in (tmp_path / "corpus/.build").rglob("*") if p.is_file()]


def test_a_batch_that_ends_its_workers_is_scanned_here(voices, tmp_path, monkeypatch):
    """Where the driver's own processes tell which recording it was."""
    from pipelines.workers.executor import TaskOutcome

    class Dying(DirectExecutor):
        def wait(self, timeout_s):
            return [TaskOutcome(self._tasks.pop(), died="SIGSEGV")] if self._tasks else []

    said = []
    prepare(manifest(voices), str(tmp_path / "corpus"), PrepareOptions(workers=0, cluster=Dying), said.append)
    assert any("ended their workers; they are scanned here" in line for line in said)
    assert (tmp_path / "corpus/catalog-0000.parquet").read_bytes() == alone(voices, tmp_path / "alone.parquet")


def test_what_no_other_batch_would_escape_ends_the_scan_in_its_sentence(voices, tmp_path, monkeypatch):
    def full(self, name, data):
        from stylefx.errors import IncompleteError

        raise IncompleteError("no space left in the corpus; free some and run the same command again")

    monkeypatch.setattr(tasks_module.ScanParts, "write", full)
    with pytest.raises(StylefxError, match="no space left") as caught:
        prepare(manifest(voices), str(tmp_path / "corpus"), PrepareOptions(workers=0, cluster=DirectExecutor))
    assert caught.value.exit_status == 3


def test_a_batch_is_a_task_that_executors_can_keep(voices):
    """By its hash; what is known of a recording besides is a table, which has none."""
    batch = next(batches(list_recordings(manifest(voices).sources, manifest(voices).limits)))
    task = tasks_module.ScanTask("scan x", "out", "parts", batch, scan_module.Measuring(3600.0), 10.0)
    assert {task: 1}[task] == 1
