"""Before a build every node proves that it can do the work, and compiles the kernels once into its cache."""

from __future__ import annotations

import socket
import uuid
from typing import Any

from pipelines.manifest.model import Manifest
from pipelines.render.compiling import compile_on_all_cores
from pipelines.render.kernels import load_kernels
from pipelines.sources.plugged import open_plugin
from pipelines.storage.base import BUILD_FOLDER, Storage
from pipelines.storage.open import open_storage
from pipelines.workers.environment import environment, environment_digest
from pipelines.workers.executor import Executor, Guard
from stylefx import foreign
from stylefx.errors import IncompleteError, StylefxError, UserError
from stylefx.extras import missing_package
from stylefx.files.address import redact
from stylefx.foreign import OWN

#: how the names of what is written to see whether it can be begin
TRIAL = f"{BUILD_FOLDER}/preflight-"

_TRIALS = 3


def preflight(manifest: Manifest, storage: Storage, executor: Executor, recordings: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run ``check_node`` on every node; UserError that names the node and what it lacks, IncompleteError where a disk fails it.

    Nodes with another environment digest are allowed (their bytes differ by at most 1 LSB) unless a package differs in
    its version: then half of a corpus would be made by other programs.
    """
    results = executor.preflight(check_node, manifest.model_dump_json(), storage.where, recordings)
    here = environment(manifest.rendered_with)
    for result in results:
        problem = _problem(result, here)
        if problem is not None:
            raise (IncompleteError if problem["exit_status"] == IncompleteError.exit_status else UserError)(problem["message"])
    arguments = (manifest.model_dump_json(), storage.where, recordings, here)
    executor.guard(Guard(uuid.uuid4().hex, joins, arguments), results)
    return results


def joins(manifest_json: str, out: str, recordings: tuple[str, ...], here: dict[str, str]) -> dict[str, Any] | None:
    """On a node that joined a running build: None, or what keeps it from taking part as a problem that ends the build."""
    return _problem(check_node(manifest_json, out, recordings), here)


def _problem(result: dict[str, Any], here: dict[str, str]) -> dict[str, Any] | None:
    """``here``: the environment of the driver."""
    name = result.get("node") or result.get("host")
    if result.get("problem"):
        status = result.get("exit_status", UserError.exit_status)
        return {"kind": "stop", "message": f"node {name} cannot take part: {result['problem']}", "exit_status": status}
    there = result["environment"]
    free = {"cpu"} | {k for k, v in here.items() if v == "absent"}  # the driver need not have what it does not run
    differing = [f"{k} is {there.get(k)} there, {v} here" for k, v in here.items() if k not in free and there.get(k) != v]
    if not differing:
        return None
    message = f"node {name} has other programs: {'; '.join(differing[:5])}; give all nodes the same installation"
    return {"kind": "stop", "message": message, "exit_status": UserError.exit_status}


def check_node(manifest_json: str, out: str, recordings: tuple[str, ...]) -> dict[str, Any]:
    """Runs on a node: sources readable, output writable, engine present, kernels compiled. Never raises."""
    host = socket.gethostname()
    try:
        manifest = Manifest.model_validate_json(manifest_json)
        manifest.check_plugins()
        _write_somewhere(open_storage(out), host)
        _read_recordings(recordings)
        for source in manifest.sources:
            if source.kind is not None:
                open_plugin(source.kind, source.path).check()
        _engine(manifest)
        compile_on_all_cores(manifest)
        load_kernels(manifest)
    except StylefxError as error:
        return {"host": host, "problem": str(error), "exit_status": error.exit_status}
    except ModuleNotFoundError as error:
        return {"host": host, "problem": missing_package(error) or str(error)}
    except Exception as error:  # noqa: BLE001 - the process boundary: the driver turns it into a sentence
        return {"host": host, "problem": redact(f"{type(error).__name__}: {error}")}
    parts = manifest.rendered_with
    return {"host": host, "environment": environment(parts), "environment_digest": environment_digest(parts)}


def _write_somewhere(storage: Storage, host: str) -> None:
    for _ in range(_TRIALS):
        name = f"{TRIAL}{host}-{uuid.uuid4().hex}"  # a machine can be several nodes
        storage.write(name, host.encode())
        try:
            found = storage.read(name)
        except FileNotFoundError:  # a builder that knows nothing of this one yet has cleared it away
            continue
        storage.delete(name)
        if found == host.encode():
            return
    raise UserError(f"{storage.where} does not give back what was written to it")


def _read_recordings(recordings: tuple[str, ...]) -> None:
    """What the driver reached must be there for this node; its content is the business of rendering."""
    from pipelines.sources.files import stat_uri
    from pipelines.sources.uris import split_member

    for uri in recordings:
        _, _, problem = stat_uri(split_member(uri)[0])
        if problem:
            raise UserError(f"{redact(uri)}: {problem}; mount the sources there, with the same paths")


def _engine(manifest: Manifest) -> None:
    if manifest.augment.used_engine:
        from stylefx.audio import preflight as engine_preflight

        engine_preflight(manifest.augment.used_engine)
    if manifest.render.engine != OWN:
        foreign.preflight(manifest.render.engine)
