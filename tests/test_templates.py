"""Manifests, training configurations and cluster recipes come with the package, and the commands print them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli.main import cli as pipe
from pipelines.manifest.load import load_manifest
from stylefx.cli import cli
from stylefx.errors import UserError
from stylefx.templates import CONFIGURATIONS, FOLDER, MANIFESTS, templates
from stylefx.training.config import load_config

ROOT = Path(__file__).parents[1]


def _printed(group, *arguments: str) -> str:
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_file_of_the_folder_is_printed_by_one_of_the_commands():
    printed = {*templates(MANIFESTS).values(), *templates(CONFIGURATIONS).values()}
    assert printed == {path for path in FOLDER.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [n for n, p in templates(MANIFESTS).items() if p.suffix == ".yaml" and "cluster" not in p.parts])
def test_a_printed_manifest_can_be_built_from(name, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(_printed(pipe, "manifest", name))
    assert load_manifest(file).resolved_chains


@pytest.mark.parametrize("name", [n for n, p in templates(CONFIGURATIONS).items() if "train" in p.parts])
def test_a_printed_configuration_can_be_trained_with(name, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(_printed(cli, "config", name))
    assert load_config(file).steps > 0


def test_without_a_name_they_are_listed_with_what_they_are_for():
    assert "demo  " in _printed(pipe, "manifest")
    assert "VCTK 0.92" in _printed(pipe, "manifest")
    assert "base  " in _printed(cli, "config")


@pytest.mark.parametrize(
    ("group", "command", "name", "near"), [(pipe, "manifest", "vtck", "vctk"), (cli, "config", "bsae", "base")]
)
def test_an_unknown_name_gets_the_near_miss(group, command, name, near):
    error = CliRunner().invoke(group, [command, name]).exception
    assert isinstance(error, UserError)
    assert f"no {name!r} comes with stylefx; did you mean {near!r}?" in str(error)


def test_the_package_carries_the_folder_of_the_checkout():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "manifests/**/*" in data["stylefx"]
    assert FOLDER.resolve() == ROOT / "manifests"
    assert all((ROOT / package / "py.typed").is_file() for package in ("stylefx", "pipelines"))
