"""Corpora from Python: one call, the command's bytes, no ``__main__`` guard, and sentences for what is in the way."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stylefx
from pipelines.workers.inline import InlineExecutor
from pipelines.workers.pool import WorkerPool
from stylefx.errors import CorpusNotFound, IncompleteError, ManifestError, UserError
from tests.support.builds import HALF, RATE, hashes, manifest_for, run_build, write_sources

ROOT = Path(__file__).parents[3]
SCRIPT = """
import numpy, stylefx
print("the script runs")
built = stylefx.build_corpus({manifest!r}, out="python", workers=1, progress="quiet")
print(built.samples, built.counts["ok"], len(built.open()))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    write_sources(folder / "voices", speakers=3, seconds=4)
    return folder


@pytest.fixture
def manifest(place) -> dict:
    return {
        "name": "tiny",
        "sources": [{"name": "voices", "path": str(place / "voices"), "group": {"parent": 1}, "licence": "CC0"}],
        "segment": {"half_frames": HALF, "sample_rate": RATE},
        "split": {"val": ["voices/speaker-1"], "test": ["voices/speaker-2"]},
        "shard": {"samples": 4},
    }


def run_script(place: Path, text: str) -> subprocess.CompletedProcess[str]:
    (place / "script.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "script.py"], cwd=place, env=environment, capture_output=True, text=True, timeout=300)


def test_a_script_without_a_guard_builds_and_runs_once(place, manifest):
    """Workers are spawned: they would run the script again, and today's decoder died in each of them."""
    done = run_script(place, SCRIPT.format(manifest=manifest))
    assert done.returncode == 0, done.stderr
    first, counts = done.stdout.splitlines()
    assert first == "the script runs"
    samples, ok, opened = map(int, counts.split())
    assert samples == ok == opened > 0
    run_build(manifest_for(place / "voices", place / "command"), executor="direct")
    assert hashes(place / "python") == hashes(place / "command")


def test_a_plan_tells_what_would_be_built(place, manifest, tmp_path):
    planned = stylefx.plan_corpus(manifest, out=tmp_path / "planned", workers=0, progress="quiet")
    assert planned.samples > 0
    assert set(planned.splits) == {"train", "val", "test"}
    assert not list(tmp_path.glob("planned/*/*.tar"))
    assert "core-hours" in planned._repr_html_()
    assert str(planned.samples) in repr(planned)


def test_a_corpus_is_grown_and_resumed_in_process(place, manifest, tmp_path):
    built = stylefx.build_corpus(manifest, tmp_path / "c", executor="direct", workers=0, progress="quiet")
    html = built._repr_html_()
    assert "<audio" in html
    assert "<polyline" in html
    again = stylefx.build_corpus(manifest, tmp_path / "c", executor="direct", workers=0, progress="quiet")
    assert again.summary.rendered_shards == 0
    assert again.samples == built.samples


def test_mistakes_end_in_a_sentence(manifest, tmp_path):
    with pytest.raises(ManifestError, match="did you mean 'segment'"):
        stylefx.build_corpus({**manifest, "segmnt": {}}, tmp_path / "c")
    with pytest.raises(UserError, match="did you mean 'take_over'"):
        stylefx.build_corpus(manifest, tmp_path / "c", takeover=True)
    with pytest.raises(UserError, match="progress is 'silent'"):
        stylefx.plan_corpus(manifest, tmp_path / "c", progress="silent")
    with pytest.raises(CorpusNotFound):
        stylefx.open_corpus(tmp_path)


def test_a_process_that_runs_the_script_again_is_told_of_the_guard(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UserError, match='put what the script does under if __name__ == "__main__":'):
        stylefx.build_corpus(manifest, tmp_path / "c")
    with pytest.raises(UserError, match="__main__"):
        stylefx.plan_corpus(manifest, tmp_path / "c")


def test_workers_that_never_start_are_no_fault_of_the_recordings(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with WorkerPool(len, 1, 60.0) as pool:
        with pytest.raises(IncompleteError, match=r"exit status 3.*__main__"):
            list(pool.map_ordered([("a",)], lambda task: task))
    executor = InlineExecutor(len, 1)
    try:
        with pytest.raises(IncompleteError, match=r"end before they are ready"):
            _submit_and_wait(executor, 2)
    finally:
        executor.close()


def _submit_and_wait(executor: InlineExecutor, times: int) -> None:
    for _ in range(times):
        executor.submit("a")
        while not executor.wait(5.0):
            pass


def test_a_foreign_pipelines_is_named(place, manifest):
    (place / "pipelines").mkdir(exist_ok=True)
    (place / "pipelines" / "__init__.py").write_text("")
    try:
        done = run_script(place, f"import stylefx\nstylefx.build_corpus({manifest!r}, out='x')\n")
    finally:
        (place / "pipelines" / "__init__.py").unlink()
        (place / "pipelines").rmdir()
    assert done.returncode == 1
    assert "rename that folder" in done.stderr.splitlines()[-1]
