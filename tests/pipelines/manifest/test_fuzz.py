"""Untrusted files: manifests, catalogs, plans, sidecars, tables. No traceback, no hang, no code run: an answer or a sentence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.builder.lease import read_leases
from pipelines.corpus.description import read_corpus
from pipelines.corpus.sidecar import Sidecar
from pipelines.manifest.differences import differences
from pipelines.manifest.load import load_manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.make import make_plan
from pipelines.plan.samples import read_shard
from pipelines.shards.journal import in_flight, quarantined
from pipelines.storage.local import LocalStorage
from pipelines.verify.shards import read_rows
from stylefx.errors import DamageError, StylefxError, UserError
from stylefx.files.processes.lease import is_live
from tests.support.builds import manifest_for, run_build, write_sources
from tests.support.fuzz import fuzz

QUICK, SLOW = fuzz(80), fuzz(25)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    sources = write_sources(folder / "voices", speakers=3, seconds=5.0)
    run_build(manifest_for(sources, folder / "corpus"), executor="direct")
    return folder / "corpus"


def damaged(data: bytes, cuts: list[tuple[float, bytes]]) -> bytes:
    """Overwrite some places, given as fractions of the length."""
    out = bytearray(data)
    for where, noise in cuts:
        at = int(where * len(out))
        out[at : at + len(noise)] = noise
    return bytes(out)


CUTS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=12)), min_size=1, max_size=6)


@QUICK
@given(st.data())
def test_sidecars(corpus, data):
    """Fields replaced by anything, or bytes damaged: a sidecar that adds up, or DamageError."""
    good = (corpus / "train/train-000000.json").read_bytes()
    fields = json.loads(good)
    changed = fields | data.draw(st.dictionaries(st.sampled_from(sorted(fields)), JSON, max_size=3))
    for raw in (json.dumps(changed).encode(), damaged(good, data.draw(CUTS)), json.dumps(data.draw(JSON)).encode()):
        try:
            sidecar = Sidecar.from_bytes(raw, "train/train-000000")
        except DamageError:
            continue
        assert sum(sidecar.committed().counts.values()) == sidecar.planned


@QUICK
@given(data=st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_corpus_json_leases_notes_and_quarantines(tmp_path, data):
    storage = LocalStorage(tmp_path)
    for name in ("corpus.json", ".build/leases/a.json", ".build/inflight/train-000000", ".build/quarantine/train-000000.json"):
        storage.write(name, data)
    with_sentence(lambda: read_corpus(storage))
    with_sentence(lambda: quarantined(storage, "train/train-000000"))
    assert in_flight(storage, "train/train-000000")[0] is None or isinstance(in_flight(storage, "train/train-000000")[0], str)
    for lease in read_leases(storage).values():
        is_live(lease)


def with_sentence(call) -> None:
    """Run it; what it raises must be one of ours, in one line."""
    message = ""
    try:
        call()
    except StylefxError as error:
        message = str(error)
    assert "\n" not in message


@SLOW
@given(cuts=CUTS)
def test_tables_of_shards(corpus, cuts):
    good = (corpus / "train/train-000000.parquet").read_bytes()
    with_sentence(lambda: read_rows(damaged(good, cuts)))


@SLOW
@given(cuts=CUTS)
def test_plans(corpus, tmp_path, cuts):
    path = tmp_path / "plan-0000.parquet"
    path.write_bytes(damaged((corpus / "plan-0000.parquet").read_bytes(), cuts))

    def read():
        for shard in plan_overview(path):
            read_shard(path, shard.number)

    with_sentence(read)


@SLOW
@given(cuts=CUTS)
def test_catalogs(corpus, tmp_path, cuts):
    path = tmp_path / "catalog-0000.parquet"
    path.write_bytes(damaged((corpus / "catalog-0000.parquet").read_bytes(), cuts))
    manifest = manifest_for(corpus.parent / "voices", tmp_path / "out")
    with_sentence(lambda: make_plan(manifest, path, tmp_path / "plan.parquet"))


@QUICK
@example(text='{"\\n": 1}')
@given(text=st.text(max_size=200) | JSON.map(json.dumps) | st.binary(max_size=100).map(lambda b: b.decode("latin-1")))
def test_manifests(tmp_path, text):
    path = tmp_path / "m.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_manifest(path)
    assert "\n" not in str(caught.value)


@QUICK
@given(st.data())
def test_fields_of_manifests(tmp_path, data):
    """A good manifest with some values replaced by anything."""
    good = manifest_for(tmp_path, tmp_path / "out").to_dict()
    name = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(JSON)
    if isinstance(good[name], dict) and data.draw(st.booleans()):
        value = good[name] | {data.draw(st.sampled_from(sorted(good[name]) or ["x"])): value}
    path = tmp_path / "m.yaml"
    path.write_text(json.dumps(good | {name: value}))
    with_sentence(lambda: load_manifest(path))


def test_yaml_runs_no_code_and_expands_no_bombs(tmp_path):
    path, trace = tmp_path / "m.yaml", tmp_path / "trace"
    path.write_text(f"name: !!python/object/apply:os.system ['touch {trace}']\n")
    with pytest.raises(UserError):
        load_manifest(path)
    assert not trace.exists()
    path.write_text("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
    with pytest.raises(UserError, match="aliases"):
        load_manifest(path)


def test_nothing_in_a_corpus_is_unpickled(corpus, tmp_path):
    """A sidecar that is a pickle is damage."""

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "trace",))

    with pytest.raises(DamageError):
        Sidecar.from_bytes(pickle.dumps(Trap()), "train/train-000000")
    assert not (tmp_path / "trace").exists()


@QUICK
@given(JSON, JSON)
def test_differences_are_found_exactly_where_there_are_some(a, b):
    import math

    text_a, text_b = json.dumps(a, sort_keys=True), json.dumps(b, sort_keys=True)
    if any(isinstance(x, float) and math.isnan(x) for x in (a, b)) or "NaN" in text_a + text_b:
        return
    assert not list(differences(a, json.loads(text_a)))
    list(differences(a, b))
