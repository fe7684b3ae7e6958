"""The environment digest names what bytes depend on, and nothing that a corpus does not use."""

from __future__ import annotations

from importlib import metadata
from typing import get_args

import pytest

from pipelines.builder.preflight import check_node
from pipelines.manifest.model import Augment, Manifest
from pipelines.workers.environment import environment, environment_digest
from stylefx.audio import engine_names
from tests.support.builds import manifest_for


def test_the_version_of_the_rubberband_program_counts_where_it_renders(tmp_path, monkeypatch):
    program = tmp_path / "rubberband"
    program.write_text("#!/bin/sh\necho 3.1.2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    environment.cache_clear()
    environment_digest.cache_clear()
    try:
        first = environment_digest(("rubberband",))
        assert environment(("rubberband",))["rubberband"] == "rubberband (rubberband 3.1.2)"
        assert environment(("pyrubberband",))["rubberband"].endswith("(rubberband 3.1.2)")
        assert "rubberband" not in environment(("vocoder",))
        assert environment_digest(("vocoder",)) == environment_digest() != first
        program.write_text("#!/bin/sh\necho 3.3.0\n")
        environment.cache_clear()
        environment_digest.cache_clear()
        assert environment_digest(("rubberband",)) != first
    finally:
        environment.cache_clear()
        environment_digest.cache_clear()


def test_an_engine_that_never_runs_is_none():
    assert Augment(engine="rubberband", probability=0.5).used_engine == "rubberband"
    assert Augment(engine="rubberband", probability=0.0).used_engine == ""


def test_a_manifest_can_name_every_engine():
    assert get_args(Augment.model_fields["engine"].annotation) == engine_names()


def test_preflight_proves_pyrubberband_and_its_program(tmp_path, monkeypatch):
    manifest = manifest_for(tmp_path, tmp_path / "out", augment={"engine": "pyrubberband"})
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = check_node(manifest.model_dump_json(), str(tmp_path / "out"), ())["problem"]
    assert "the engine pyrubberband needs the program rubberband" in problem


@pytest.mark.parametrize(
    ("changes", "package"),
    [
        ({"augment": {"engine": "signalsmith"}}, "python-stretch"),
        ({"augment": {"extra": [{"name": "AddGaussianNoise"}]}}, "audiomentations"),
        ({"meter": "pyloudnorm"}, "pyloudnorm"),
        ({"sources": [{"name": "s", "path": "p", "include": ["**/*.g722"]}]}, "imageio-ffmpeg"),
    ],
)
def test_a_package_counts_only_where_the_manifest_uses_it(changes, package, monkeypatch):
    """Another version of it changes the digest of such a corpus, and of no other."""
    plain = {"name": "m", "output": "o", "sources": [{"name": "s", "path": "p"}]}
    without, using = (Manifest.model_validate(data).rendered_with for data in (plain, plain | changes))
    before = {parts: _fresh(parts) for parts in (without, using)}
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99.0" if name == package else version(name))
    assert _fresh(without) == before[without]
    assert _fresh(using) != before[using]
    assert environment(using)[package] == "99.0"
    environment.cache_clear()


def _fresh(parts: tuple[str, ...]) -> str:
    environment.cache_clear()
    environment_digest.cache_clear()
    return environment_digest(parts)
