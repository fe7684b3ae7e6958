"""Pairs that people made, with what is known of them: from a list into samples, tables, cards and the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from pipelines.catalog.scan import scan
from pipelines.corpus.view import CorpusView
from pipelines.look.report import make_report
from pipelines.manifest.model import Manifest
from pipelines.plan.make import make_plan
from pipelines.plan.samples import PlannedSample, read_shard
from pipelines.render.decode import Decoder
from pipelines.storage.open import open_storage
from pipelines.verify.run import run_verify
from stylefx.corpus.reader import open_corpus
from stylefx.errors import UserError
from tests.support.builds import HALF, RATE, run_build, tone_bursts


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["input,target,engineer,language,terms,credit"]
    for i in range(6):
        dry = tone_bursts(4.0, RATE, i)
        soundfile.write(folder / f"{i}-raw.wav", dry, RATE, subtype="FLOAT")
        soundfile.write(folder / f"{i}-mixed.wav", np.tanh(3 * dry), RATE, subtype="FLOAT")
        licence = "CC-BY-NC-4.0" if i == 5 else "CC BY 4.0"
        rows.append(f"{i}-raw.wav,{i}-mixed.wav,e{i},{'de' if i % 2 else 'fr'},{licence},Somebody {i}")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder


def manifest(folder: Path, out: Path, **changes) -> Manifest:
    source = {
        "name": "mixes", "path": str(folder / "list.csv"), "group": {"column": "engineer"},
        "columns": {"licence": "terms", "attribution": "credit"},
    }  # fmt: skip
    data = {
        "name": "pairs", "output": str(out), "sources": [source], "segment": {"half_frames": HALF, "sample_rate": RATE},
        "split": {"val": ["mixes/e1"], "test": ["mixes/e2"]}, "shard": {"samples": 4}, "audio_format": "float32",
        "augment": {"probability": 0.0}, "licences": ["CC-BY-*", "!*-NC-*"],
    }  # fmt: skip
    return Manifest.model_validate(data | changes)


@pytest.fixture(scope="module")
def corpus(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("c") / "c"
    run_build(manifest(folder, out), executor="direct")
    return out


def samples(corpus: Path):
    opened = open_corpus(corpus)
    return [(opened, ref) for split in opened.splits for ref in opened.samples(split)]


def test_input_and_target_are_what_people_made_and_as_loud_beside_one_another(corpus, folder):
    assert samples(corpus)
    for opened, ref in samples(corpus):
        document = opened.metadata(ref)
        (part,) = document["parts"]
        assert (document["made_by"], document["input"], document["target"]) == ("people", [], [])
        assert part["target"] == part["recording"].replace("raw", "mixed")
        start, frames = part["start_frame"], opened.half_frames
        halves = opened.read(ref, ["a.input", "a.target"])
        raw, mixed = (
            soundfile.read(folder / part[name].partition("/")[2], dtype="float32")[0][start : start + frames]
            for name in ("recording", "target")
        )
        gain = np.abs(halves["a.input"][0]).max() / np.abs(raw).max()
        np.testing.assert_allclose(halves["a.input"][0], gain * raw, atol=1e-5)
        np.testing.assert_allclose(halves["a.target"][0], gain * mixed, atol=1e-5)


def test_what_a_list_says_stands_in_samples_and_tables(corpus):
    for opened, ref in samples(corpus):
        document = opened.metadata(ref)
        number = int(document["group"][-1])
        assert document["metadata"] == {"engineer": f"e{number}", "language": "de" if number % 2 else "fr"}
        assert (document["licence"], document["attribution"]) == ("CC BY 4.0", f"Somebody {number}")
    rows = [row for path in corpus.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {json.loads(row["metadata"])["language"] for row in rows} == {"de", "fr"}


def test_licences_that_are_not_wanted_are_left_out_and_the_others_are_credited(corpus):
    assert not any(ref.group == "mixes/e5" for _, ref in samples(corpus))
    text = (corpus / "ATTRIBUTION.md").read_text()
    assert "## CC BY 4.0" in text
    assert "mixes, by Somebody 0:" in text
    assert "* 0-raw.wav\n" in text
    assert "* 0-mixed.wav\n" in text
    assert "5-raw" not in text


def test_the_report_counts_hours_by_the_columns_and_verification_passes(corpus):
    page = make_report(CorpusView(str(corpus)), samples=1)
    assert "Hours of pairs by language" in page
    assert "licence not wanted" in page
    found = run_verify(open_storage(corpus), deep_share=1.0)
    assert (found.findings, found.missing) == ([], [])
    assert found.rendered_again


def test_pairs_and_references_of_other_content_do_not_go_together(folder, tmp_path):
    with pytest.raises(UserError, match="pairs that people made, which cannot have references of other content"):
        run_build(manifest(folder, tmp_path / "c", reference={"from": "other"}), executor="direct")


def test_a_target_of_another_rate_or_length_is_a_row_with_its_reason(folder, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone_bursts(4.0, RATE, 1), RATE)
    soundfile.write(tmp_path / "rate.wav", tone_bursts(4.0, 16000, 1), 16000)
    soundfile.write(tmp_path / "short.wav", tone_bursts(2.0, RATE, 1), RATE)
    for target, reason in (
        ("rate.wav", "bring both to one rate"),
        ("short.wav", "align the two"),
        ("gone.wav", "does not exist"),
    ):
        (tmp_path / "l.csv").write_text(f"input,target\na.wav,{target}\n")
        m = manifest(tmp_path, tmp_path / "c", sources=[{"name": "s", "path": str(tmp_path / "l.csv")}])
        scan(m, tmp_path / "catalog.parquet", workers=0)
        assert reason in pq.read_table(tmp_path / "catalog.parquet").to_pylist()[0]["error"]


def test_a_target_that_changed_since_the_scan_is_refused_until_it_is_scanned_again(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "in")
    m, catalog, plan = manifest(tmp_path / "in", tmp_path / "c"), tmp_path / "catalog.parquet", tmp_path / "plan.parquet"

    def first_target() -> tuple[np.ndarray, PlannedSample]:
        scan(m, catalog, previous=catalog, workers=0)
        make_plan(m, catalog, plan)
        sample = read_shard(plan, 0)[0]
        return Decoder(RATE, 1).pair(sample), sample

    before, sample = first_target()
    changed = tmp_path / "in" / sample.parts[0].target.partition("/")[2]
    audio, _ = soundfile.read(changed, dtype="float32")
    soundfile.write(changed, 0.5 * audio, RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=f"{changed.name} changed"):
        Decoder(RATE, 1).pair(sample)
    Decoder(RATE, 1).clip(sample)  # the recording before it is as it was
    np.testing.assert_array_equal(first_target()[0], 0.5 * before)
