"""All that a sample needs compiled is loaded before the first one: nothing of it counts against a sample's time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipelines
from stylefx.files.processes.cores import cores
from tests.support.builds import manifest_for, write_sources

LOADED = """
import gc, json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from pipelines.catalog.scan import scan
from pipelines.manifest.model import Manifest
from pipelines.plan.file import plan_overview
from pipelines.plan.make import make_plan
from pipelines.plan.samples import read_shard
from pipelines.render.kernels import load_kernels
from pipelines.render.sample import render_sample

def compiled():
    return {(d.py_func.__module__, d.py_func.__name__): len(d.signatures) for d in gc.get_objects() if isinstance(d, Dispatcher)}

folder = Path(sys.argv[1])
manifest = Manifest.model_validate(json.loads(sys.argv[2]))
scan(manifest, folder / "catalog.parquet", workers=0)
make_plan(manifest, folder / "catalog.parquet", folder / "plan.parquet")
load_kernels(manifest)
before = compiled()
shards = plan_overview(folder / "plan.parquet")
for sample in [s for shard in shards for s in read_shard(folder / "plan.parquet", shard.number)][:6]:
    render_sample(manifest, sample)
print(json.dumps(sorted(".".join(name) for name, count in compiled().items() if count > before.get(name, 0))))
"""


@pytest.mark.parametrize("audio_format", ["flac24", "pcm16"])
def test_rendering_finds_every_kernel_loaded(audio_format, tmp_path):
    sources = write_sources(tmp_path / "sources", speakers=3, seconds=4.0)
    segment = {"half_frames": 6144, "sample_rate": 24000}
    changes = {"segment": segment, "audio_format": audio_format, "augment": {"probability": 1.0}, "preset": "deepafx-st"}
    manifest = manifest_for(sources, tmp_path / "out", **changes)
    command = [sys.executable, "-c", LOADED, str(tmp_path), json.dumps(manifest.to_dict())]
    folder = Path(pipelines.__file__).parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


APART = """
import json, sys
from pipelines.manifest.model import Manifest
from pipelines.render.compiling import compile_on_all_cores
from pipelines.render.kernels import load_kernels
from stylefx.effects.kernels.dynamics import dynamics
from stylefx.effects.kernels.jit import compilations
from stylefx.effects.kernels.cascade import cascade

said, manifest = [], Manifest.model_validate(json.loads(sys.argv[1]))
for _ in range(2):  # the second time nothing is left to compile
    compile_on_all_cores(manifest, said.append)
    load_kernels(manifest)
print(json.dumps([said, [compilations(dynamics) > 0, compilations(cascade) > 0]]))
"""


def test_on_a_new_machine_other_processes_compile_and_it_is_said(tmp_path):
    sources = write_sources(tmp_path / "sources", speakers=2, seconds=1.0)
    segment = {"half_frames": 6144, "sample_rate": 24000}
    chain = [{"step": "effect", "effect": name} for name in ("compressor", "parametric_eq")]
    changes = {"segment": segment, "augment": {"probability": 0.0}, "audio_format": "pcm16", "chains": {"target": chain}}
    manifest = manifest_for(sources, tmp_path / "out", **changes)
    command = [sys.executable, "-c", APART, json.dumps(manifest.to_dict())]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    folder = Path(pipelines.__file__).parents[1]
    found = []
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    alone = cores() == 1  # then it had better do it itself
    assert found == [[["compiling the sample loops, once on this machine"], [alone] * 2], [[], [False] * 2]]
