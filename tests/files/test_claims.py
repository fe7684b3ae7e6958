"""The temporary file of an output is taken over from a killed writer, and never from one that lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from pipelines.storage.parquet import AtomicParquet
from stylefx.files.atomic import temporary_file, write_whole
from stylefx.files.claims import Claim


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from stylefx.files.claims import Claim; "
        "Claim(Path(sys.argv[1])).path.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "out.wav")], check=False)
    assert len(names(tmp_path)) == 1
    write_whole(tmp_path / "out.wav", b"whole")
    assert names(tmp_path) == ["out.wav"]
    assert (tmp_path / "out.wav").read_bytes() == b"whole"


def test_two_writers_at_a_time_do_not_meet(tmp_path):
    with temporary_file(tmp_path / "a") as first, temporary_file(tmp_path / "a") as second:
        assert first != second
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"1"  # the outer one was published last


def test_a_name_that_was_published_meanwhile_is_not_taken(tmp_path, monkeypatch):
    """The lock is got on the file that has just become the output: it must not be written to again."""
    opened = os.open

    def publish_before_the_lock(path, *arguments):
        handle = opened(path, *arguments)
        monkeypatch.setattr(os, "open", opened)
        os.replace(path, tmp_path / "out")
        return handle

    Claim(tmp_path / "out").release()
    monkeypatch.setattr(os, "open", publish_before_the_lock)
    claim = Claim(tmp_path / "out")
    claim.path.write_bytes(b"new")
    assert (tmp_path / "out").read_bytes() == b""
    claim.drop()


def test_long_names_of_the_same_beginning_have_claims_of_their_own(tmp_path):
    first, second = (Claim(tmp_path / f"{'x' * 60}{end}") for end in "ab")
    assert first.path != second.path
    first.drop()
    second.drop()
    assert names(tmp_path) == []


def test_what_a_killed_planner_spilled_goes_with_the_next_plan(tmp_path):
    schema = pa.schema({"a": pa.int64()})
    killed = AtomicParquet(tmp_path / "plan.parquet", schema)
    killed.spill.mkdir()
    (killed.spill / "segments.bin").write_bytes(bytes(1000))
    killed._claim.release()  # as the kernel does
    table = AtomicParquet(tmp_path / "plan.parquet", schema)
    table.write(pa.table({"a": [1]}))
    table.publish()
    assert names(tmp_path) == ["plan.parquet"]
