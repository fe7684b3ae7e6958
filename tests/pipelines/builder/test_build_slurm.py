"""The launch files: the Slurm array is run as Slurm would run it, and the RayJob names a command that exists."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.builds import hashes, manifest_for, run_build, write_sources

LAUNCH = Path(__file__).parents[3] / "manifests/cluster"


def test_a_slurm_array_without_ray_makes_the_corpus(tmp_path):
    """Two tasks with Slurm's variables, a fake sbatch that notes the last job, which is then run."""
    sources = write_sources(tmp_path / "voices", speakers=3, seconds=6.0)
    run_build(manifest_for(sources, tmp_path / "reference"), executor="direct")
    manifest = tmp_path / "corpus.yaml"
    manifest.write_text(yaml.safe_dump(manifest_for(sources, tmp_path / "unused").to_dict()))
    fake = tmp_path / "bin"
    (fake / "venv/bin").mkdir(parents=True)
    (fake / "venv/bin/activate").write_text(f"export PATH={fake}:$PATH\n")
    (fake / "sbatch").write_text(f'#!/bin/bash\necho "${{@: -1}}" > {tmp_path}/last-job\n')
    (fake / "stylefx-pipe").write_text(
        f'#!/bin/bash\nexec {sys.executable} -c "from pipelines.cli.main import main; main()" "$@"\n'
    )
    for path in (fake / "sbatch", fake / "stylefx-pipe"):
        path.chmod(0o755)
    out = tmp_path / "out"
    environment = {**os.environ, "STYLEFX_VENV": str(fake / "venv"), "SLURM_ARRAY_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1"}
    environment |= {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "0"}
    environment |= {"STYLEFX_SCAN_WAIT_S": "0", "SLURM_SUBMIT_DIR": str(tmp_path)}  # the tasks run one after the other here
    for task in ("0", "1"):
        command = ["bash", str(LAUNCH / "slurm_build.sbatch"), str(manifest), str(out)]
        done = subprocess.run(command, env={**environment, "SLURM_ARRAY_TASK_ID": task}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert not (out / "index.json").exists()
    last = shlex.split((tmp_path / "last-job").read_text())
    done = subprocess.run(last, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (out / "index.json").exists()
    assert hashes(out) == hashes(tmp_path / "reference")


def test_the_rayjob_runs_a_command_that_there_is():
    from click.testing import CliRunner

    from pipelines.cli.build import build

    job = yaml.safe_load((LAUNCH / "kuberay_build.yaml").read_text())
    program, command, _, *options = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("stylefx-pipe", "build")
    known = {opt for parameter in build.params for opt in parameter.opts}
    assert {o for o in options if o.startswith("--")} <= known
    cluster = job["spec"]["rayClusterSpec"]
    images = {
        container["image"]
        for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        for container in group["template"]["spec"]["containers"]
    }
    assert len(images) == 1
    assert CliRunner().invoke(build, ["--help"]).exit_code == 0
