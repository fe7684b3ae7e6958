"""The house keeps its floors: imports go down only, rooms stay small, and no picture of it is needed to trust that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "stylefx")
MAX_FILES = 14
LINT = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"


def lint(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)}
    )


def test_every_import_goes_down():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_wrong_import_is_seen(tmp_path):
    """Even one that a function hides."""
    for package in PACKAGES:
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "pipelines").unlink()
    copy_with_an_import_that_runs_up(tmp_path / "pipelines")
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    result = lint(tmp_path)
    assert result.returncode == 1, result.stdout
    assert "pipelines.manifest.hash -> pipelines.builder.run" in " ".join(result.stdout.split())


def copy_with_an_import_that_runs_up(package: Path) -> None:
    shutil.copytree(ROOT / "pipelines", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "manifest" / "hash.py").write_text("def digest():\n    from pipelines.builder.run import run\n\n    return run\n")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_holds_more_than_fourteen_files(package):
    folders = [f for f in (ROOT / package).rglob("*") if f.is_dir() and f.name != "__pycache__"]
    full = {str(f.relative_to(ROOT)): n for f in folders if (n := sum(p.is_file() for p in f.iterdir())) > MAX_FILES}
    assert not full


def test_no_file_of_a_room_repeats_its_folder():
    """``plan/plan_rows.py`` would say it twice."""
    files = [f for package in PACKAGES for f in (ROOT / package).rglob("*.py")]
    assert not [str(f.relative_to(ROOT)) for f in files if f.stem.startswith(f.parent.name + "_")]
