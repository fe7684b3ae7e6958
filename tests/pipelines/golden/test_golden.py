"""A corpus of each preset, small, against the digests that stand beside this file.

``python -m tests.pipelines.golden.test_golden`` writes them anew, in a commit whose line in CHANGELOG.md, under "Bytes", says
what changed and why. What is drawn is the same anywhere; bytes are the same where packages and processor class are.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pipelines.workers.environment import environment
from stylefx.recipes.presets import preset_names
from tests.support.builds import manifest_for, run_build, write_sources

DIGESTS = Path(__file__).with_name("digests.json")
OWN = [name for name in preset_names() if "sox" not in name]  # what another program renders has bytes of its own


def build(folder: Path, preset: str) -> Path:
    out = folder / preset
    segment = {"half_frames": 6144, "sample_rate": 24000}
    sources = folder / "sources"
    if not sources.exists():
        write_sources(sources, speakers=3, seconds=4.0)
    changes = {"preset": preset, "segment": segment, "audio_format": "flac16", "selection": {"hours": 0.004}}
    run_build(manifest_for(sources, out, **changes), executor="direct")
    return out


def drawn(document: dict[str, Any]) -> dict[str, Any]:
    """What was decided of a sample before any audio was looked at."""
    steps = {
        branch: [{k: v for k, v in step.items() if k != "gain_db" or step["step"] != "normalise"} for step in document[branch]]
        for branch in ("clean", "input", "target")
    }
    return {"key": document["key"], "parts": document["parts"], "augmentation": document["augmentation"], **steps}


def digests(out: Path) -> dict[str, str]:
    recipes, audio = hashlib.sha256(), hashlib.sha256()
    for path in sorted(out.glob("*/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                data = tar.extractfile(member).read()
                if member.name.endswith(".json"):
                    recipes.update(json.dumps(drawn(json.loads(data)), sort_keys=True).encode())
                else:
                    audio.update(data)
    return {"recipes": recipes.hexdigest()[:32], "audio": audio.hexdigest()[:32]}


def here() -> dict[str, str]:
    """The environment, but for our own version and Python's, which change no sample."""
    return {k: v for k, v in environment(("vocoder",)).items() if k not in ("stylefx", "python")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("golden")


@pytest.mark.parametrize("preset", OWN)
def test_a_preset_gives_the_bytes_that_it_gave(preset, folder):
    known = json.loads(DIGESTS.read_text())
    found = digests(build(folder, preset))
    assert found["recipes"] == known["presets"][preset]["recipes"]
    if known["environment"] == here():
        assert found["audio"] == known["presets"][preset]["audio"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        presets = {preset: digests(build(Path(name), preset)) for preset in OWN}
    DIGESTS.write_text(json.dumps({"environment": here(), "presets": presets}, indent=1) + "\n")
