"""OpenLineage: what ran, from what, to what, as events in a file, one JSON object a line; a collector can send them on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from stylefx import __version__
from stylefx.errors import Interrupted, UserError
from stylefx.files.address import is_url, safe_uri

_PRODUCER = f"urn:stylefx:{__version__}"
_SPEC = "https://openlineage.io/spec"
NAMESPACE = "stylefx"


def dataset(address: str) -> dict[str, Any]:
    """A data set as OpenLineage names it: scheme and host as namespace, the path as name."""
    if not is_url(address):
        return {"namespace": "file", "name": str(Path(address).absolute())}
    parts = urlsplit(safe_uri(address))
    return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path.strip("/") or "/"}


class Lineage:
    """A context: START when it is entered, then COMPLETE, FAIL (with the error's sentence) or ABORT (interrupted). Without a file
    it writes nothing. UserError where the file cannot be written, before any work is done."""

    def __init__(self, file: str | None, job: str, inputs: Sequence[str], outputs: Sequence[str]):
        self._file = Path(file) if file else None
        self._run, self._job = str(uuid.uuid4()), job
        self._inputs, self._outputs = [dataset(a) for a in inputs], [dataset(a) for a in outputs]
        self._statistics: dict[str, Any] = {}

    def counts(self, size: int | None = None, rows: int | None = None, files: int | None = None) -> None:
        """What was written: bytes, samples, files."""
        found = {"size": size, "rowCount": rows, "fileCount": files}
        self._statistics = {name: value for name, value in found.items() if value is not None}

    def __enter__(self) -> Self:
        self._write("START", {})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self._write("COMPLETE", {})
        elif isinstance(error, Exception) and not isinstance(error, Interrupted):
            message = {"message": str(error), "programmingLanguage": "Python"}
            self._write("FAIL", {"errorMessage": _facet("ErrorMessageRunFacet", "1-0-1", message)})
        else:
            self._write("ABORT", {})

    def _write(self, kind: str, run_facets: dict[str, Any]) -> None:
        if self._file is None:
            return
        how = _facet("JobTypeJobFacet", "2-0-3", {"processingType": "BATCH", "integration": "STYLEFX", "jobType": "COMMAND"})
        outputs = self._outputs
        if kind == "COMPLETE" and self._statistics:
            written = _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", self._statistics)
            outputs = [{**output, "outputFacets": {"outputStatistics": written}} for output in outputs]
        event = {
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "producer": _PRODUCER,
            "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": self._run, "facets": run_facets},
            "job": {"namespace": NAMESPACE, "name": self._job, "facets": {"jobType": how}},
            "inputs": self._inputs,
            "outputs": outputs,
        }
        try:
            with open(self._file, "a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise UserError(
                f"{self._file}: lineage cannot be written ({error.strerror}); name another file with --lineage"
            ) from error


def _facet(name: str, version: str, values: dict[str, Any]) -> dict[str, Any]:
    url = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": _PRODUCER, "_schemaURL": url, **values}
