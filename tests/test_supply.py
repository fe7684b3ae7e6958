"""What is shipped is written down: hashes of what is installed, and a bill of materials in the wheel."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def lock():
    spec = importlib.util.spec_from_file_location("lock", ROOT / "scripts/lock.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_that_is_needed_is_locked_in_the_tested_version(lock):
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    tested = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in tested.items()}
    locked = {name: version for name, version, _ in lock.locked()}
    assert set(locked) >= set(lock.needed()) - {"triton"}
    for name, version in locked.items():
        assert version.partition("+")[0] == tested.get(name, version).partition("+")[0], name
    assert len(locked) > 60


def test_the_lock_names_no_index(lock):
    assert "://" not in lock.LOCK.read_text()


def test_the_bill_of_materials_is_of_this_version_and_these_models(lock):
    assert lock.SBOM.read_text() == lock.bill_text(), "run: python scripts/lock.py --sbom"


def test_the_bill_is_valid_cyclonedx(lock):
    schema = pytest.importorskip("cyclonedx.schema", reason="pip install 'cyclonedx-python-lib[json-validation]'")
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(lock.SBOM.read_text())
    assert error is None, error


def test_the_wheel_carries_the_bill(tmp_path):
    """And the modules that came with it."""
    tree = tmp_path / "tree"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("no checkout to build from")
    for name in tracked.stdout.split():
        if name.startswith(("stylefx/", "pipelines/", "manifests/")) or "/" not in name:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_symlink():
                (tree / name).symlink_to((ROOT / name).readlink())
            elif (ROOT / name).is_file():
                shutil.copyfile(ROOT / name, tree / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        place = next(name for name in names if name.endswith(".dist-info/sboms/stylefx.cdx.json"))
        assert json.loads(wheel.read(place)) == json.loads((ROOT / "sbom.cdx.json").read_text())
        record = wheel.read(next(name for name in names if name.endswith("RECORD"))).decode()
    assert place in record
    assert {"stylefx/__init__.pyi", "stylefx/building.py", "pipelines/python/build.py", "stylefx/manifests/demo.yaml"} <= set(
        names
    )
