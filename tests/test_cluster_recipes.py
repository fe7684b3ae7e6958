"""Every recipe for a cluster is read as what it is, and the commands in it are those of the real command line."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli as pipe
from stylefx.cli import cli as stylefx
from stylefx.templates import FOLDER
from stylefx.training.config import load_config

CLUSTER = FOLDER / "cluster"
RECIPES = sorted(path.name for path in CLUSTER.iterdir())


def document(name: str) -> dict:
    return yaml.safe_load((CLUSTER / name).read_text())


def run_by_bash(script: Path, tmp_path: Path, arguments: list[str], **variables: str) -> list[list[str]]:
    """The commands that a script runs, in order; programs that it calls only note how they were called."""
    place, log = tmp_path / "bin", tmp_path / "log"
    (place / "venv/bin").mkdir(parents=True)
    (place / "venv/bin/activate").touch()
    for name in ("stylefx-pipe", "stylefx", "torchrun", "srun", "sbatch", "scontrol", "sleep", "nvidia-smi"):
        status = 'if [ "$1" = status ]; then exit 1; fi' if name == "stylefx-pipe" else ""
        (place / name).write_text(f'#!/bin/bash\nprintf "%q " {name} "$@" >> {log}; echo >> {log}\n{status}\necho node-1\n')
        (place / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "STYLEFX_VENV": str(place / "venv"), **variables}
    done = subprocess.run(
        ["bash", str(script), *arguments], env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [shlex.split(line) for line in log.read_text().splitlines()]


def commands_of(name: str, tmp_path: Path) -> list[list[str]]:
    """The commands of a recipe, as lists of words."""
    if name.startswith("kuberay"):
        return [shlex.split(document(name)["spec"]["entrypoint"])]
    if name.startswith("kubeflow"):
        trainer = document(name)["spec"]["trainer"]
        return [[*trainer["command"], *trainer["args"]]]
    if name.startswith("skypilot"):
        found = document(name)
        script = tmp_path / "run.sh"
        script.write_text(found["run"])
        node = {
            "SKYPILOT_NODE_RANK": "0",
            "SKYPILOT_NUM_NODES": "8",
            "SKYPILOT_NUM_GPUS_PER_NODE": "8",
            "SKYPILOT_NODE_IPS": "a\nb",
        }
        return run_by_bash(script, tmp_path, [], **node, **found["envs"])
    slurm = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "16"}
    slurm |= {"SLURM_JOB_NODELIST": "n", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "8", "DEVICES": "2"}
    slurm |= {"STYLEFX_SCAN_WAIT_S": "0"}
    arguments = ["corpus.yaml", "/shared/out"] if "build" in name else ["base.yaml", "--out", "/shared/runs/base"]
    return run_by_bash(CLUSTER / name, tmp_path, arguments, **slurm)


def ours(words: list[str]) -> tuple[click.Group, list[str]] | None:
    """Our command line in a command of others, such as srun torchrun ... -m stylefx.cli train ...; None where there is none."""
    for group, program in ((pipe, ["stylefx-pipe"]), (stylefx, ["-m", "stylefx.cli"]), (stylefx, ["stylefx"])):
        for at in range(len(words)):
            if words[at : at + len(program)] == program:
                return group, words[at + len(program) :]
    return None


@pytest.mark.parametrize("name", RECIPES)
def test_the_commands_of_a_recipe_are_those_of_the_real_command_line(name, tmp_path):
    found = [command for words in commands_of(name, tmp_path) if (command := ours(words))]
    assert found
    for group, (verb, *arguments) in found:
        command = group.get_command(click.Context(group), verb)
        command.make_context(verb, list(arguments))  # every option is known, every value of its kind, nothing is missing
        helped = CliRunner().invoke(group, [verb, *arguments, "--help"])
        assert helped.exit_code == 0, helped.output
        if verb == "train":
            overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
            config = load_config(str(FOLDER / "train/base.yaml"), tuple(overrides))
            assert config.data.corpora


def test_srun_gets_its_cpus_which_it_does_not_inherit(tmp_path):
    (srun,) = [words for words in commands_of("slurm_train.sbatch", tmp_path) if words[0] == "srun"]
    assert srun[srun.index("--cpus-per-task") + 1] == "16"


@pytest.mark.parametrize("name", [n for n in RECIPES if n.startswith("kube")])
def test_pods_get_the_secrets_of_the_object_store(name):
    text = (CLUSTER / name).read_text()
    assert "s3-credentials" in text
    assert "nodeSelector" in text
    for container in containers(document(name)):
        named = [e["secretRef"]["name"] for e in container.get("envFrom", ())]
        named += [e["valueFrom"]["secretKeyRef"]["name"] for e in container.get("env", ()) if "valueFrom" in e]
        assert "s3-credentials" in named, container


def containers(found: dict) -> list[dict]:
    spec = found["spec"]
    if "trainer" in spec:
        return [spec["trainer"]]
    cluster = spec["rayClusterSpec"]
    return [c for g in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]) for c in g["template"]["spec"]["containers"]]


def readers(words: list[str]) -> int:
    return int(next(w for w in words if w.startswith("data.workers=")).partition("=")[2])


def test_as_many_readers_and_renderers_as_cpus_are_asked_for(tmp_path):
    for name, processes in (("kuberay_train.yaml", 1), ("kubeflow_train.yaml", 4)):
        asked = containers(document(name))[-1]
        cpus = int(asked.get("resources", asked.get("resourcesPerNode"))["requests"]["cpu"])
        assert processes * (readers(commands_of(name, tmp_path)[0]) + 1) == cpus
    (group,) = document("kuberay_build.yaml")["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    asked = group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    assert group["rayStartParams"]["num-cpus"] == asked


def test_the_cluster_of_the_build_grows_from_its_least():
    spec = document("kuberay_build.yaml")["spec"]["rayClusterSpec"]
    (group,) = spec["workerGroupSpecs"]
    assert spec["enableInTreeAutoscaling"] is True
    assert group["replicas"] == group["minReplicas"] < group["maxReplicas"]


@pytest.mark.parametrize("name", [n for n in RECIPES if n.endswith((".sbatch", ".sh"))])
def test_a_script_is_one(name):
    assert subprocess.run(["bash", "-n", str(CLUSTER / name)], capture_output=True).returncode == 0
