"""Events tell a collector what ran: START, then how it ended, with what was written."""

from __future__ import annotations

import json
import uuid

import pytest

from pipelines.lineage.events import Lineage, dataset
from stylefx.errors import IncompleteError, Interrupted, UserError


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_starts_and_completes_with_what_it_wrote(tmp_path):
    file = tmp_path / "lineage.jsonl"
    with Lineage(str(file), "build mine", ["voices", "s3://user:secret@bucket/more?token=1"], [str(tmp_path / "corpus")]) as run:
        run.counts(size=10, rows=3)
    first, last = events(file)
    assert [first["eventType"], last["eventType"]] == ["START", "COMPLETE"]
    assert first["run"]["runId"] == last["run"]["runId"] == str(uuid.UUID(first["run"]["runId"]))
    assert first["job"]["name"] == "build mine"
    assert first["inputs"][1] == {"namespace": "s3://bucket", "name": "more"}, "no credentials"
    assert last["outputs"][0]["name"] == str(tmp_path / "corpus")
    statistics = last["outputs"][0]["outputFacets"]["outputStatistics"]
    assert (statistics["size"], statistics["rowCount"]) == (10, 3)
    assert all(event["schemaURL"].endswith("RunEvent") and event["eventTime"].endswith("Z") for event in (first, last))


@pytest.mark.parametrize(
    ("error", "kind"),
    [(IncompleteError("the disk is full"), "FAIL"), (Interrupted("ended", 15), "ABORT"), (KeyboardInterrupt(), "ABORT")],
)
def test_a_run_that_fails_says_why(tmp_path, error, kind):
    with pytest.raises(type(error)), Lineage(str(tmp_path / "l.jsonl"), "build", [], []):
        raise error
    last = events(tmp_path / "l.jsonl")[-1]
    assert last["eventType"] == kind
    if kind == "FAIL":
        assert last["run"]["facets"]["errorMessage"]["message"] == "the disk is full"


def test_runs_are_appended_and_a_file_that_cannot_be_written_is_a_sentence(tmp_path):
    for _ in range(2):
        with Lineage(str(tmp_path / "l.jsonl"), "build", [], []):
            pass
    assert len(events(tmp_path / "l.jsonl")) == 4
    with pytest.raises(UserError, match="lineage cannot be written"), Lineage(str(tmp_path), "build", [], []):
        pytest.fail("no work is begun")


def test_data_sets_are_named_as_the_standard_does(tmp_path):
    assert dataset("s3://bucket/a/b/") == {"namespace": "s3://bucket", "name": "a/b"}
    assert dataset(str(tmp_path))["namespace"] == "file"
