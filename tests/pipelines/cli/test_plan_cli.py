"""`stylefx-pipe scan`, `plan`: counts, hours, bytes and core-hours before anything is rendered; mistakes end in one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.plan.file import plan_overview
from stylefx.errors import UserError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    for i in range(6):
        path = folder / "in" / f"g{i % 3}" / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(i).normal(0, 0.1, 16000 * 5), 16000)
    (folder / "in" / "g0" / "broken.wav").write_text("no audio")
    data = {
        "name": "cli",
        "output": str(folder / "out"),
        "sources": [{"name": "s", "path": str(folder / "in")}],
        "segment": {"half_frames": 8000, "sample_rate": 16000},
        "split": {"fractions": {"train": 1.0, "val": 0.0, "test": 0.0}, "val": ["s/g1"], "test": ["s/g2"]},
    }
    (folder / "m.yaml").write_text(yaml.safe_dump(data))
    return folder


def run(place, *arguments: str):
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False, standalone_mode=False)


def test_scan_then_plan_print_what_there_is_and_what_it_will_cost(place):
    catalog, plan = str(place / "c.parquet"), str(place / "p.parquet")
    scanned = run(place, "scan", str(place / "m.yaml"), "-o", catalog, "--workers", "0")
    assert "7 recordings, 0.01 h; 0 not decoded again; errors: 1 unreadable" in scanned.output
    again = run(place, "scan", str(place / "m.yaml"), "-o", catalog, "--workers", "0")
    assert "6 not decoded again" in again.output
    planned = run(place, "plan", str(place / "m.yaml"), "--catalog", catalog, "-o", plan, "--json")
    summary = json.loads(planned.output)
    assert {s: c["groups"] for s, c in summary["splits"].items()} == {"train": 1, "val": 1, "test": 1}
    assert sum(c["samples"] for c in summary["splits"].values()) == sum(s.samples for s in plan_overview(plan)) > 15
    assert summary["rejected"] == {"unreadable": 1}
    estimate = summary["estimate"]
    total = sum(c["samples"] for c in summary["splits"].values())
    assert estimate["core_hours"] == pytest.approx(estimate["seconds_per_sample"] * total / 3600)
    assert 0 < estimate["seconds_per_sample"] < 5
    assert 30_000 < estimate["bytes_per_sample"] < 140_000  # four halves of 8000 frames of noise in FLAC16
    assert not (place / "out").exists()
    text = run(place, "plan", str(place / "m.yaml"), "--catalog", catalog, "-o", plan, "--no-calibrate").output
    assert "left out: 1 unreadable" in text
    assert "core-hours" not in text


def test_what_a_scan_leaves_out_is_named_ten_at_once_and_all_in_a_file_or_on_demand(place, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for i in range(12):
        (bad / f"{i:02}.wav").write_text("no audio")
    data = yaml.safe_load((place / "m.yaml").read_text()) | {"limits": {"max_unreadable_share": 1.0}}
    data["sources"].append({"name": "bad", "path": str(bad)})
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(data))
    command = ["scan", str(tmp_path / "m.yaml"), "-o", str(tmp_path / "c.parquet"), "--workers", "0"]
    said = run(place, *command).stderr
    beside = tmp_path / "c.left-out.txt"
    assert len(re.findall(r"^  (?:s|bad)/\S+\.wav: unreadable", said, re.MULTILINE)) == 10
    assert f"and 3 more left out: {beside}" in said
    named = beside.read_text()
    assert all(f"bad/{i:02}.wav: unreadable" in named for i in range(12))
    assert "s/g0/broken.wav: unreadable" in named
    everything = run(place, *command, "--left-out").stderr
    assert all(line in everything for line in named.splitlines())
    assert not beside.exists()  # all of it was said


def test_a_second_corpus_of_the_same_recordings_needs_no_second_scan(place):
    from pipelines.builder.prepare import PrepareOptions, prepare
    from pipelines.manifest.load import load_manifest

    said: list[str] = []
    first = load_manifest(place / "m.yaml", [f"output={place / 'first'}"])
    prepare(first, first.output, PrepareOptions(workers=0), said.append)
    assert "known and unchanged" not in " ".join(said)
    second = load_manifest(place / "m.yaml", [f"output={place / 'second'}", "preset=recovery"])
    prepare(second, second.output, PrepareOptions(workers=0, catalog=str(place / "first" / "catalog-0000.parquet")), said.append)
    assert "6 of them known and unchanged" in " ".join(said)
    catalogs = [pq.read_table(place / name / "catalog-0000.parquet").to_pylist() for name in ("first", "second")]
    assert repr(catalogs[0]) == repr(catalogs[1])  # NaN included
    with pytest.raises(UserError, match="there is no catalog nowhere"):
        prepare(second, str(place / "third"), PrepareOptions(workers=0, catalog="nowhere"), said.append)


def test_a_long_scan_says_how_far_it_is(monkeypatch):
    from pipelines.builder.progress import scan_lines
    from stylefx import progress

    clock, said = iter(range(0, 1000, 10)), []
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    report = scan_lines(progress.Progress(bars=False, echo=said.append))
    for count in range(64, 640, 64):
        report(count, count / 100)
    assert said[0] == "scanned 128 recordings, 1.28 h"
    assert 2 <= len(said) < 9


def test_the_estimate_of_bytes_is_what_a_shard_takes(place):
    from pipelines.builder.job import BuildOptions
    from pipelines.builder.prepare import PrepareOptions, prepare
    from pipelines.builder.run import build
    from pipelines.manifest.load import load_manifest
    from pipelines.render.estimate import estimate

    m = load_manifest(place / "m.yaml", [f"output={place / 'built'}"])
    prepared = prepare(m, m.output, PrepareOptions(workers=0))
    build(m, m.output, prepared.shards, prepared.generation, prepared.earlier, BuildOptions(executor="direct"))
    written = sum(p.stat().st_size for p in (place / "built").glob("*/*.tar"))
    assert estimate(m, place / "built" / "plan-0000.parquet")["bytes"] == pytest.approx(written, rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "nowhere.yaml"], "error: cannot read nowhere.yaml: No such file or directory"),
        (["scan", "{m}", "--set", "sources.0.path=/no/where"], "error: source s: '/no/where' does not exist"),
        (["plan", "{m}", "--set", "sed=1"], "unknown key sed; did you mean 'seed'"),
        (["plan", "{m}", "--catalog", "{m}"], "m.yaml is damaged or no such file as it should be"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_status_2(place, tmp_path, arguments, message):
    arguments = [a.format(m=place / "m.yaml") for a in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli.main", *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
