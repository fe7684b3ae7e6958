"""Before a build every node proves that it can do the work, and compiles the kernels once into its cache."""

from __future__ import annotations

import functools
import socket
import uuid
from typing import Any

from pipelines.environment import environment, environment_digest
from pipelines.executors import Executor
from pipelines.manifest import Manifest
from pipelines.storage import BUILD_FOLDER, Storage, open_storage, redact
from stylefx.errors import StylefxError, UserError


def preflight(manifest: Manifest, storage: Storage, executor: Executor, recordings: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run ``check_node`` on every node; UserError that names the node and what it lacks.

    Nodes with another environment digest are allowed (their bytes differ by at most 1 LSB) unless a package differs in
    its version: then half of a corpus would be made by other programs.
    """
    results = executor.preflight(check_node, manifest.model_dump_json(), storage.where, recordings)
    here = environment(manifest.augment.used_engine)
    for result in results:
        name = result.get("node") or result.get("host")
        if result.get("problem"):
            raise UserError(f"node {name} cannot take part: {result['problem']}")
        there = result["environment"]
        free = {"cpu"} | {k for k in ("rubberband",) if here.get(k) == "absent"}  # the driver need not have what it does not run
        differing = [f"{k} is {there.get(k)} there, {v} here" for k, v in here.items() if k not in free and there.get(k) != v]
        if differing:
            raise UserError(f"node {name} has other programs: {'; '.join(differing[:5])}; give all nodes the same installation")
    return results


def check_node(manifest_json: str, out: str, recordings: tuple[str, ...]) -> dict[str, Any]:
    """Runs on a node: sources readable, output writable, engine present, kernels compiled. Never raises."""
    host = socket.gethostname()
    try:
        manifest = Manifest.model_validate_json(manifest_json)
        _write_somewhere(open_storage(out), host)
        _read_recordings(recordings)
        _engine(manifest)
        load_kernels(manifest)
    except StylefxError as error:
        return {"host": host, "problem": str(error)}
    except Exception as error:  # noqa: BLE001 - the process boundary: the driver turns it into a sentence
        return {"host": host, "problem": redact(f"{type(error).__name__}: {error}")}
    engine = manifest.augment.used_engine
    return {"host": host, "environment": environment(engine), "environment_digest": environment_digest(engine)}


def _write_somewhere(storage: Storage, host: str) -> None:
    name = f"{BUILD_FOLDER}/preflight-{host}-{uuid.uuid4().hex}"  # a machine can be several nodes
    storage.write(name, host.encode())
    if storage.read(name) != host.encode():
        raise UserError(f"{storage.where} does not give back what was written to it")
    storage.delete(name)


def _read_recordings(recordings: tuple[str, ...]) -> None:
    """What the driver reached must be there for this node; its content is the business of rendering."""
    from pipelines.source_files import stat_uri
    from pipelines.sources import MEMBER_MARK

    for uri in recordings:
        _, _, problem = stat_uri(uri.partition(MEMBER_MARK)[0])
        if problem:
            raise UserError(f"{redact(uri)}: {problem}; mount the sources there, with the same paths")


def _engine(manifest: Manifest) -> None:
    if manifest.augment.used_engine:
        from stylefx.audio import preflight as engine_preflight

        engine_preflight(manifest.augment.used_engine)


@functools.lru_cache(maxsize=2)
def kernels_loaded(manifest_json: str) -> None:
    """``load_kernels`` once per process, and in none that was forked from one that did."""
    load_kernels(Manifest.model_validate_json(manifest_json))


def load_kernels(manifest: Manifest) -> None:
    """Measure and render a moment of noise with all that the manifest can draw: what was compiled before on this machine is
    loaded, what was not is compiled and kept."""
    import numpy as np

    from pipelines.activity import RecordingMeter
    from stylefx.audio import integrated_lufs, pitch_tempo
    from stylefx.effects.registry import make_effect

    rate, channels = manifest.segment.sample_rate, manifest.segment.channels
    noise = np.random.default_rng(0).standard_normal((channels, rate // 2)).astype(np.float32) * np.float32(0.1)
    meter = RecordingMeter(rate, channels)
    meter.add(noise)
    meter.measures()
    integrated_lufs(noise, rate)
    if manifest.augment.used_engine == "vocoder":
        pitch_tempo(noise, rate, 100.0, 1.1)
    chains = manifest.resolved_chains
    steps = [*(chains.clean or ()), *(chains.input or ()), *(chains.target or ()), *(chains.finish or ())]
    steps += [step for style in chains.styles or () for step in style.target]
    for name, config in {(s.effect, repr(s.config)): (s.effect, s.config) for s in steps if s.step == "effect"}.values():
        effect = make_effect(name, **config)
        # not the defaults: what is neutral is left out and would not be compiled
        effect.render(noise, {p.name: p.from_control(0.25) for p in effect.parameters}, rate)
