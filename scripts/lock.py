"""The packages of the extra `all` with their hashes, and the bill of materials (CycloneDX) that the wheel carries.

python scripts/lock.py                     # write constraints-hashed.txt and sbom.cdx.json; pip 24.1 or newer asks the index
python scripts/lock.py --pip OTHER/python  # with another environment's pip
python scripts/lock.py --sbom              # the bill alone, from the hashes that are written down

What is locked is what is installed here and needed: exact versions, one wheel each, for this platform and this Python.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK, SBOM = ROOT / "constraints-hashed.txt", ROOT / "sbom.cdx.json"
EXTRAS = ("pipe", "train")
_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) \\\n    --hash=sha256:(?P<hash>[0-9a-f]{64})$", re.MULTILINE)


def project() -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return data


def needed() -> dict[str, str]:
    """{name: version} of everything that stylefx[all] pulls in, as installed here."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    lines = [*project()["dependencies"], *(line for e in EXTRAS for line in project()["optional-dependencies"][e])]
    todo = [Requirement(line) for line in lines]
    while todo:
        wanted = todo.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = metadata.version(name)
        for line in metadata.requires(name) or []:
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in {"", *extras}):
                todo.append(inner)
    return dict(sorted(found.items()))


def hashes(versions: dict[str, str], python: str) -> dict[str, str]:
    """{name: sha256 of the wheel that pip would install}; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        pinned, report = Path(folder) / "pinned.txt", Path(folder) / "report.json"
        pinned.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
        command = [python, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--report", str(report), "-r", str(pinned)], check=True)
        data = json.loads(report.read_text(encoding="utf-8"))
    out = {}
    for entry in data["install"]:
        out[canonicalize_name(entry["metadata"]["name"])] = entry["download_info"]["archive_info"]["hashes"]["sha256"]
    return out


def write_lock(versions: dict[str, str], digests: dict[str, str]) -> None:
    machine = f"{platform.system()} {platform.machine()}, Python {sys.version_info[0]}.{sys.version_info[1]}"
    head = (
        f"# Everything that stylefx[all] needs, with hashes, for {machine}; torch is its build for CPUs.\n"
        "# pip install --no-deps --require-hashes -r constraints-hashed.txt, then pip install --no-deps stylefx\n"
        "# Made by: python scripts/lock.py\n"
    )
    lines = [f"{name}=={version} \\\n    --hash=sha256:{digests[name]}\n" for name, version in versions.items()]
    LOCK.write_text(head + "".join(lines), encoding="utf-8")


def locked() -> list[tuple[str, str, str]]:
    """(name, version, sha256) of every line."""
    return [(m["name"], m["version"], m["hash"]) for m in _LINE.finditer(LOCK.read_text(encoding="utf-8"))]


def bill() -> dict[str, Any]:
    """The bill of materials as CycloneDX 1.6: this package, the models in it, and the locked packages with their hashes."""
    own = project()
    core = {canonicalize_name(Requirement(line).name) for line in own["dependencies"]}
    reference = f"pkg:pypi/stylefx@{own['version']}"
    components = [_package(name, version, digest, name in core) for name, version, digest in locked()]
    models = [_model(path) for path in sorted((ROOT / "stylefx/models/shipped").glob("*/*.safetensors"))]
    content = json.dumps([components, models], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, reference + content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": reference,
                "name": "stylefx",
                "version": own["version"],
                "description": own["description"],
                "licenses": [{"license": {"id": own["license"]}}],
                "purl": reference,
            }
        },
        "components": [*models, *components],
        "dependencies": [
            {"ref": reference, "dependsOn": [c["bom-ref"] for c in (*models, *components)]},
            *({"ref": c["bom-ref"]} for c in (*models, *components)),
        ],
    }


def _package(name: str, version: str, digest: str, is_core: bool) -> dict[str, Any]:
    reference = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "scope": "required" if is_core else "optional",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "purl": reference,
    }


def _model(path: Path) -> dict[str, Any]:
    name = path.parent.name
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}",
        "name": f"stylefx model {name}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
    }


def bill_text() -> str:
    return json.dumps(bill(), indent=1) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pip", default=sys.executable, metavar="PYTHON", help="the interpreter whose pip asks the index")
    parser.add_argument("--sbom", action="store_true", help="write the bill of materials alone")
    arguments = parser.parse_args()
    if not arguments.sbom:
        versions = needed()
        write_lock(versions, hashes(versions, arguments.pip))
    SBOM.write_text(bill_text(), encoding="utf-8")
    print(f"{LOCK.name}: {len(locked())} packages; {SBOM.name}: {len(bill()['components'])} components")


if __name__ == "__main__":
    main()
