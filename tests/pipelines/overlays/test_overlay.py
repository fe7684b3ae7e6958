"""Derived columns beside a finished corpus: the same keys, the same order, no byte of the base touched."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipelines.cli.main import cli
from stylefx.corpus.reader import open_corpus
from stylefx.errors import DamageError, IncompleteError, UserError
from tests.support import mapped

MEASURES = "tests.support.mapped:measures"


def run(*arguments: object):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def overlay(corpus: Path, *more: object):
    return run("overlay", corpus, "--map", MEASURES, "--executor", "direct", *more)


def base_files(corpus: Path) -> dict[str, str]:
    files = [p for p in corpus.rglob("*") if p.is_file() and "overlays" not in p.parts]
    return {str(p.relative_to(corpus)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_an_overlay_has_the_keys_of_the_base_and_is_read_with_it_and_by_any_tar_reader(corpus):
    before = base_files(corpus)
    done = overlay(corpus)
    assert done.exit_code == 0, done.output
    assert base_files(corpus) == before
    opened = open_corpus(corpus)
    found = opened.overlay("measures")
    for split in opened.splits:
        for ref in opened.samples(split):
            values = found.read(ref)
            assert np.array_equal(values["embedding.npy"], opened.read(ref, ["a.target"])["a.target"][:, :8])
            assert values["words.json"] == {"group": ref.group, "rate": opened.sample_rate}
            assert (values["note.txt"], values["raw.dat"]) == ("ja", b"\0\1")
    for path in sorted((corpus / "overlays/measures").glob("*/*.tar")):
        with tarfile.open(path) as mine, tarfile.open(corpus / path.relative_to(corpus / "overlays/measures")) as base:
            keys = [list(dict.fromkeys(m.name.partition(".")[0] for m in tar)) for tar in (mine, base)]
        assert keys[0] == keys[1]
    assert not [p for p in (corpus / "overlays").rglob(".build/**/*") if p.is_file()]
    assert run("verify", corpus).exit_code == 0


def test_it_resumes_with_the_shards_that_are_missing(corpus, monkeypatch):
    assert overlay(corpus).exit_code == 0
    place = corpus / "overlays/measures"
    whole = {p: p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}
    (place / "train/train-000000.json").unlink()  # killed before it was committed
    (place / "val/val-000000.tar").write_bytes(b"torn")
    mapped.CALLED.clear()
    done = overlay(corpus)
    assert "2 mapped now" in done.output
    assert set(mapped.CALLED) == {r.key for s in ("train/train-000000", "val/val-000000") for r in open_corpus(corpus).table(s)}
    assert {p: p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()} == whole


def test_child_processes_make_the_same_bytes(corpus, tmp_path):
    assert overlay(corpus).exit_code == 0
    assert overlay(corpus, "--name", "again", "--executor", "inline", "--workers", "2").exit_code == 0
    tars = [sorted((corpus / "overlays" / name).glob("*/*.tar")) for name in ("measures", "again")]
    assert [p.read_bytes() for p in tars[0]] == [p.read_bytes() for p in tars[1]]


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_flipped_byte_is_found_by_verify_and_in_a_tar_by_the_reader(corpus, kind):
    assert overlay(corpus).exit_code == 0
    path = corpus / f"overlays/measures/train/train-000000.{kind}"
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    done = run("verify", corpus)
    assert isinstance(done.exception, DamageError)
    assert f"overlays/measures/train/train-000000.{kind} is not what was committed" in done.output
    if kind == "tar":
        opened = open_corpus(corpus)
        with pytest.raises(DamageError, match="is damaged at"):
            [opened.overlay("measures").read(ref) for ref in opened.samples("train")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "nothing"], "names no function; write package.module:function"),
        (["--map", "tests.support.mapped:absent"], "cannot be loaded"),
        (["--map", "tests.support.mapped:failing", "--executor", "direct"], "failed on the sample .*by nothing; mend it"),
        (["--map", MEASURES, "--name", "Not a name"], "is no name of an overlay"),
    ],
)
def test_what_is_wrong_is_a_sentence(corpus, arguments, message):
    done = run("overlay", corpus, *arguments)
    assert isinstance(done.exception, UserError)
    with pytest.raises(UserError, match=message):
        raise done.exception


def test_another_function_is_refused_unless_it_is_to_replace(corpus, monkeypatch):
    assert overlay(corpus).exit_code == 0
    from pipelines.overlays import task

    load = task.load_function
    for module in ("pipelines.overlays.task", "pipelines.overlays.build"):
        monkeypatch.setattr(f"{module}.load_function", lambda name: (load(name)[0], "another"))
    assert "was begun with another function" in str(overlay(corpus).exception)
    assert overlay(corpus, "--replace").exit_code == 0


def test_a_function_that_ends_its_workers_is_named(corpus, monkeypatch):
    from pipelines.overlays import build
    from pipelines.workers.direct import DirectExecutor
    from pipelines.workers.executor import TaskOutcome

    class Dying(DirectExecutor):
        def wait(self, timeout_s):
            return [TaskOutcome(self._tasks.pop(), died="SIGSEGV")]

    with pytest.raises(IncompleteError, match=r"ended its worker 2 times in .*SIGSEGV"):
        build.make_overlay(str(corpus), MEASURES, None, False, lambda: Dying(lambda task: {}), print)


def test_a_missing_overlay_is_a_sentence(corpus):
    with pytest.raises(UserError, match="no finished overlay 'measures'; make it with stylefx-pipe overlay"):
        open_corpus(corpus).overlay("measures")
