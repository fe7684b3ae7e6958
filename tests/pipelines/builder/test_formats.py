"""Formats: what each keeps, the floor that every corpus records, and corpora from before the default changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.manifest.model import Manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.samples import read_shard
from pipelines.render.sample import render_sample
from pipelines.shards.floor import is_chosen
from stylefx.audio.distance import mr_stft
from stylefx.corpus.reader import Corpus, open_corpus
from stylefx.corpus.replay import FloatCorpus
from stylefx.errors import UserError
from stylefx.evaluation.floor import floor_in_words, floor_warning
from tests.support.builds import hashes, manifest_for, run_build, write_sources

FORMATS = ("flac16", "flac24", "pcm16", "pcm24", "float32")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("s"), speakers=3, seconds=4.0)


@pytest.fixture(scope="module")
def corpora(sources, tmp_path_factory) -> dict[str, Corpus]:
    """Effects of up to 24 dB and quiet pauses, so that 16 bits show."""
    folder = tmp_path_factory.mktemp("c")
    for audio_format in FORMATS:
        run_build(manifest_for(sources, folder / audio_format, audio_format=audio_format, store="both"))
    return {audio_format: open_corpus(folder / audio_format) for audio_format in FORMATS}


def test_every_format_is_read_as_it_was_rendered(corpora):
    names = ["a.input", "b.target"]
    for split in corpora["float32"].splits:
        for refs in zip(*(c.samples(split) for c in corpora.values()), strict=True):
            want = corpora["float32"].read(refs[-1], names)
            for ref, (audio_format, corpus) in zip(refs, corpora.items(), strict=True):
                step = {"16": 2.0**-16, "24": 2.0**-24}.get(audio_format[-2:], 0.0) * 1.001
                got = corpus.read(ref, names)
                assert all(np.abs(got[n] - want[n]).max() <= step for n in names), audio_format


def test_the_default_hides_less_than_two_percent(corpora):
    assert Manifest.model_fields["audio_format"].default == "flac24"
    for split in corpora["flac24"].splits:
        assert corpora["flac24"].floor(split).share < 0.02
        assert corpora["float32"].floor(split).floor == 0.0
        assert corpora["flac16"].floor(split).floor == pytest.approx(corpora["pcm16"].floor(split).floor)
        assert corpora["flac16"].floor(split).floor > 50 * corpora["flac24"].floor(split).floor


def test_the_recorded_floor_is_that_of_the_render(corpora, sources):
    corpus = corpora["flac16"]
    m = manifest_for(sources, corpus.store.root, audio_format="flac16", store="both")
    refs = {r.key: r for r in corpus.samples("test")}
    planned = [s for shard in plan_overview(corpus.store.root / "plan-0000.parquet") for s in read_shard(
        corpus.store.root / "plan-0000.parquet", shard.number) if s.key in refs]  # fmt: skip
    floors = []
    for sample in planned:
        half = render_sample(m, sample).branches["target"][:, : corpus.half_frames]
        floors.append(mr_stft(corpus.read(refs[sample.key], ["a.target"])["a.target"], half))
    found = corpus.floor("test")
    assert min(floors) * 0.999 <= found.floor <= max(floors) * 1.001
    assert found.samples <= len(refs)
    assert "flac16 hides" in (corpus.store.root / "README.md").read_text()


@pytest.mark.parametrize("shard_samples", [1, 3])
def test_the_share_that_is_measured_does_not_grow_with_the_number_of_shards(sources, tmp_path, shard_samples):
    """One sample in 64 by its key, and besides one of each split's first shard."""
    out = tmp_path / "c"
    run_build(manifest_for(sources, out, shard={"samples": shard_samples}))
    measured = {}
    for path in sorted(out.glob("*/*.parquet")):
        keys = pq.read_table(path)["key"].to_pylist()
        first = path.stem.endswith("-000000")
        floor = json.loads(path.with_suffix(".json").read_text())["floor"]
        measured[path.stem] = floor.get("samples", 0), max(sum(map(is_chosen, keys)), first)
    assert all(found == expected for found, expected in measured.values()), measured
    assert sum(found for found, _ in measured.values()) < len(measured)
    assert set(json.loads((out / "index.json").read_text())["floors"]) == {stem.partition("-")[0] for stem in measured}


def test_about_one_key_in_64_is_chosen():
    keys = 1 << 14
    assert sum(is_chosen(f"{n:016x}") for n in range(keys)) == pytest.approx(keys / 64, rel=0.2)


def test_evaluation_names_the_floor_and_warns_above_five_percent(corpora):
    assert "flac24 (hides " in floor_in_words(corpora["flac24"], "test")
    assert floor_warning(corpora["flac24"], "test") is None
    floors = {"test": {"samples": 1, "floor": 0.3, "distance": 1.0}}
    loud = Corpus(corpora["flac16"].store, corpora["flac16"].index | {"floors": floors})
    assert "hides 30 % of the input's distance" in floor_warning(loud, "test")
    assert floor_warning(FloatCorpus.of(loud), "test") is None


def test_pairs_rendered_in_float_are_those_that_float_stores(corpora):
    """From 24-bit dry halves within 1 % of the distance; from 16-bit ones the difference is larger."""
    errors = {}
    for audio_format in ("flac16", "flac24"):
        errors[audio_format] = []
        again = FloatCorpus.of(corpora[audio_format])
        for ref, stored in zip(again.samples("test"), corpora["float32"].samples("test"), strict=True):
            want = corpora["float32"].read(stored, ["a.input", "a.target"])
            got = again.read(ref, ["a.input", "a.target"])
            distance = [mr_stft(x["a.input"], x["a.target"]) for x in (want, got)]
            if distance[0] > 0.01:
                errors[audio_format].append(abs(distance[1] / distance[0] - 1.0))
    assert max(errors["flac24"]) < 0.01
    assert np.mean(errors["flac16"]) > 3 * np.mean(errors["flac24"])


def test_what_stores_no_dry_halves_cannot_be_rendered_again(sources, tmp_path):
    run_build(manifest_for(sources, tmp_path / "c"))
    with pytest.raises(UserError, match="store: dry or both"):
        FloatCorpus.of(open_corpus(tmp_path / "c"))


def test_a_corpus_begun_in_16_bits_goes_on_so_where_the_manifest_leaves_it_open(sources, tmp_path):
    out = tmp_path / "c"
    run_build(manifest_for(sources, out, audio_format="flac16"))
    before = hashes(out)
    (out / "index.json").unlink()
    sorted(out.glob("train/*.json"))[0].unlink()
    left_open = {k: v for k, v in manifest_for(sources, out).to_dict().items() if k != "audio_format"}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(left_open))
    result = CliRunner().invoke(cli, ["build", str(tmp_path / "m.yaml"), "--workers", "1", "--progress", "quiet"])
    assert result.exit_code == 0, result.output
    assert hashes(out) == before
    assert json.loads((out / "index.json").read_text())["audio_format"] == "flac16"
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(left_open | {"audio_format": "flac24"}))
    result = CliRunner().invoke(cli, ["build", str(tmp_path / "m.yaml"), "--workers", "1", "--progress", "quiet"])
    assert 'audio_format was "flac16", is "flac24"' in str(result.exception)
