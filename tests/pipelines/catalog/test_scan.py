"""Scanning measures what independent tools measure, and one bad file costs one row."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pyloudnorm
import pytest
import scipy.signal
import soundfile

from pipelines.catalog import scan as scan_module
from pipelines.catalog.measure import CODE_POWER, RecordingMeter, encode_power
from pipelines.catalog.scan import scan
from pipelines.manifest.model import Manifest
from pipelines.workers.pool import WorkerPool
from stylefx.errors import IncompleteError
from tests.support.misbehaving import misbehave


def manifest(path: Path, **source) -> Manifest:
    return Manifest.model_validate({"name": "t", "output": "o", "sources": [{"name": "s", "path": str(path)} | source]})


def scanned(folder: Path, workers: int = 0, **more) -> dict[str, dict]:
    target = folder.parent / "catalog.parquet"
    scan(manifest(folder), target, workers=workers, **more)
    return {r["path"]: r for r in pq.read_table(target).to_pylist()}


def write(path: Path, audio: np.ndarray, rate: int, **more) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, rate, **more)
    return path


def noise(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (channels, int(seconds * rate))).astype(np.float32)


def measure(audio: np.ndarray, rate: int, blocks: int = 1000):
    meter = RecordingMeter(rate, audio.shape[0])
    for start in range(0, audio.shape[1], blocks):
        meter.add(audio[:, start : start + blocks])
    return meter.measures()


def test_loudness_peak_and_dc_are_those_of_independent_tools():
    audio = noise(3.3, 22050, 2) * np.array([[1.0], [0.3]], np.float32) + np.float32(0.05)
    m = measure(audio, 22050)
    standard = pyloudnorm.Meter(22050, filter_class="DeMan")
    assert m.lufs == pytest.approx(standard.integrated_loudness(audio.T.astype(float)), abs=1e-3)
    assert m.peak_dbfs == pytest.approx(20 * np.log10(np.abs(audio).max()))
    assert m.dc == pytest.approx(np.abs(audio.mean(axis=1, dtype=float)).max(), rel=1e-5)
    assert m.correlation == pytest.approx(np.corrcoef(audio.astype(float))[0, 1], abs=1e-6)
    assert (m.frames, m.channels, m.active_mask) == (audio.shape[1], 2, 3)


@pytest.mark.parametrize("blocks", [1, 7, 1102, 1103, 100_000])
def test_the_activity_track_is_the_power_of_each_window_whatever_the_blocks(blocks):
    audio = noise(0.73, 22050) * np.linspace(0, 2, int(0.73 * 22050), dtype=np.float32)
    m = measure(audio, 22050, blocks)
    expected = [np.mean(w.astype(float) ** 2) for w in np.split(audio[0], range(1102, audio.shape[1], 1102))]
    assert m.window_frames == 1102
    assert len(m.activity) == len(expected)
    assert 10 * np.log10(CODE_POWER[m.activity]) == pytest.approx(10 * np.log10(expected), abs=0.3)


def test_activity_codes_are_exact_to_a_quarter_of_a_decibel():
    level_db = np.linspace(-99, 27, 2000)
    assert 10 * np.log10(CODE_POWER[encode_power(10 ** (level_db / 10))]) == pytest.approx(level_db, abs=0.2501)
    assert CODE_POWER[encode_power(np.array([0.0]))] == 0.0


def test_a_constant_is_silence_and_a_dead_channel_does_not_halve_the_power():
    assert not measure(np.full((1, 20000), 0.2, np.float32), 8000).activity.any()
    one = noise(1, 8000)
    both = measure(np.concatenate([one, np.zeros_like(one)]), 8000)
    assert both.active_mask == 1
    assert (both.activity == measure(one, 8000).activity).all()


def test_bandwidth_clipping_and_silence():
    rate = 44100
    sos = scipy.signal.cheby2(16, 100, 5500, fs=rate, output="sos")
    low = scipy.signal.sosfilt(sos, noise(2, rate)[0])[None].astype(np.float32)
    assert 4700 < measure(low, rate).bandwidth_hz < 5700
    assert measure(noise(2, rate), rate).bandwidth_hz > 21000
    loud = np.clip(noise(1, rate) * 10, -1, 1)
    assert measure(loud, rate).clipping_share == pytest.approx(np.mean(np.abs(loud) >= 0.999))
    half = noise(2, rate)
    half[:, rate:] = 0
    assert measure(half, rate).silence_share == pytest.approx(0.5, abs=0.03)


def test_equal_samples_have_equal_content_whatever_the_file(tmp_path):
    audio = (noise(1, 8000) * 2**15).round().astype(np.int16)
    write(tmp_path / "in" / "a.wav", audio, 8000)
    write(tmp_path / "in" / "b.flac", audio, 8000)
    write(tmp_path / "in" / "c.wav", audio, 16000)
    rows = scanned(tmp_path / "in")
    assert rows["a.wav"]["content"] == rows["b.flac"]["content"] != rows["c.wav"]["content"]
    assert rows["a.wav"]["sha256"] == hashlib.sha256((tmp_path / "in" / "a.wav").read_bytes()).digest()


@pytest.fixture(scope="module")
def nasty(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nasty") / "in"
    write(folder / "good.wav", noise(1, 8000), 8000)
    write(folder / "ünïcode and spaces.ogg", noise(1, 22050), 22050)
    write(folder / "six frames.wav", noise(1, 8000)[:, :6], 8000)
    write(folder / "128k.wav", noise(0.5, 128000), 128000)
    write(folder / "silent.flac", np.zeros((2, 8000), np.float32), 8000)
    write(folder / "nan.wav", np.full((1, 100), np.nan, np.float32), 8000, subtype="FLOAT")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no audio")
    whole = write(folder / "truncated.flac", noise(4, 44100), 44100)
    whole.write_bytes(whole.read_bytes()[:100_000])
    (folder / "link to nothing.wav").symlink_to(folder / "nowhere.wav")
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_listed_with_their_reason_and_harm_no_other(nasty, workers):
    rows = scanned(nasty, workers)
    bad = {p: r["error"].split(":")[0] for p, r in rows.items() if r["error"]}
    assert bad == {"empty.wav": "empty"} | dict.fromkeys(("text.wav", "nan.wav", "link to nothing.wav"), "unreadable")
    good = set(rows) - set(bad)
    assert good == {"good.wav", "ünïcode and spaces.ogg", "six frames.wav", "128k.wav", "silent.flac", "truncated.flac"}
    assert 44100 < rows["truncated.flac"]["frames"] < 3 * 44100
    assert {p: bool(r["damage"]) for p, r in rows.items() if r["damage"]} == {"truncated.flac": True}
    assert f"{rows['truncated.flac']['frames']} frames are kept" in rows["truncated.flac"]["damage"]
    assert rows["six frames.wav"]["frames"] == 6
    assert all(rows[p]["frames"] == 0 for p in bad)
    assert "NaN" in rows["nan.wav"]["error"]


def test_the_catalog_is_the_same_for_any_number_of_workers(nasty, tmp_path):
    tables = []
    for workers in (0, 2):
        scan(manifest(nasty), tmp_path / f"{workers}.parquet", workers=workers)
        tables.append(pq.read_table(tmp_path / f"{workers}.parquet"))
    columns = list(tables[0].column_names)
    for table in tables[1:]:
        for column in columns:
            assert str(table[column].to_pylist()) == str(tables[0][column].to_pylist())


def test_scanning_again_decodes_only_what_changed(nasty, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    for i in range(5):
        write(folder / f"{i}.wav", noise(0.2, 8000, seed=i), 8000)
    first = tmp_path / "first.parquet"
    scan(manifest(folder), first, workers=0)
    write(folder / "3.wav", noise(0.3, 8000, seed=9), 8000)
    write(folder / "new.wav", noise(0.2, 8000, seed=10), 8000)
    decoded = []
    real = RecordingMeter.measures
    monkeypatch.setattr(RecordingMeter, "measures", lambda self: decoded.append(self.frames) or real(self))
    again = scan(manifest(folder, group={"constant": "g"}), tmp_path / "again.parquet", previous=first, workers=0)
    assert (again.recordings, again.reused, sorted(decoded)) == (6, 4, [1600, 2400])
    scan(manifest(folder, group={"constant": "g"}), tmp_path / "fresh.parquet", workers=0)
    fresh, reused = (pq.read_table(tmp_path / f"{n}.parquet").to_pylist() for n in ("fresh", "again"))
    assert str(fresh) == str(reused)
    assert {r["group"] for r in reused} == {"s/g"}


def test_a_recording_that_is_too_long_is_a_row_with_its_reason(tmp_path):
    write(tmp_path / "in" / "long.wav", noise(8, 8000), 8000)
    m = Manifest.model_validate(manifest(tmp_path / "in").to_dict() | {"limits": {"recording_hours": 5 / 3600}})
    scan(m, tmp_path / "c.parquet", workers=0)
    assert pq.read_table(tmp_path / "c.parquet").to_pylist()[0]["error"].startswith("too long")


def test_nothing_is_left_behind_when_scanning_fails(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(Exception, match="no recording in"):
        scan(manifest(tmp_path / "in"), tmp_path / "c.parquet", workers=0)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_task_that_kills_or_hangs_its_worker_costs_itself_only():
    tasks = [(t,) for t in ["a", "die", "b", "hang", *"cdefgh"]]
    with WorkerPool(misbehave, 2, task_seconds=1.0) as pool:
        results = [r for _, r in pool.map_ordered(iter(tasks), lambda t: t[0])]
    assert results[1].startswith("crashed: the decoder died with status 11")
    assert results[3].startswith("hung: no end after 1 s")
    assert [r for i, r in enumerate(results) if i not in (1, 3)] == ["A", "B", *"CDEFGH"]


def test_few_tasks_are_in_flight_whatever_the_collection():
    taken = []

    def endless():
        for i in range(10_000):
            taken.append(i)
            yield (str(i),)

    with WorkerPool(misbehave, 1, task_seconds=30.0) as pool:
        results = pool.map_ordered(endless(), lambda t: t[0])
        for expected in range(40):
            assert next(results)[1] == str(expected)
        assert len(taken) < 80


def test_too_many_unreadable_recordings_stop_the_scan(nasty, tmp_path):
    m = Manifest.model_validate(manifest(nasty).to_dict() | {"limits": {"max_unreadable_share": 0.2}})
    with pytest.raises(IncompleteError, match=r"4 of 10 recordings cannot be read \(3 unreadable, 1 empty\)"):
        scan(m, tmp_path / "c.parquet", workers=0)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_for_a_moment_loses_no_recording(tmp_path, monkeypatch):
    store = fsspec.filesystem("memory")
    write(tmp_path / "a.wav", noise(1, 8000), 8000)
    store.pipe("/flaky/a.wav", (tmp_path / "a.wav").read_bytes())
    failures = iter([ConnectionResetError("reset"), TimeoutError("no answer")])
    real = scan_module.open_uri

    def flaky(uri):
        for error in failures:
            raise error
        return real(uri)

    monkeypatch.setattr(scan_module, "open_uri", flaky)
    scan(manifest("memory://flaky"), tmp_path / "c.parquet", workers=0)
    (row,) = pq.read_table(tmp_path / "c.parquet").to_pylist()
    assert (row["error"], row["frames"]) == ("", 8000)


def test_a_server_that_refuses_stops_the_scan_and_is_not_taken_for_a_bad_file(tmp_path, monkeypatch):
    fsspec.filesystem("memory").pipe("/refusing/a.wav", b"x")

    def refuse(uri):
        raise PermissionError("access denied, key AKIAABCDEFGHIJKLMNOP")

    monkeypatch.setattr(scan_module, "open_uri", refuse)
    with pytest.raises(IncompleteError, match=r"refused to give a\.wav") as error:
        scan(manifest("memory://refusing"), tmp_path / "c.parquet", workers=0)
    assert "AKIA" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_error_that_stops_everything_comes_back_from_a_worker():
    with WorkerPool(misbehave, 1, task_seconds=30.0) as pool, pytest.raises(IncompleteError, match="away"):
        list(pool.map_ordered(iter([("a",), ("away",), ("b",)]), lambda t: t[0]))
