"""The environment digest names what bytes depend on, and nothing that a corpus does not use."""

from __future__ import annotations

from pipelines.environment import environment, environment_digest
from pipelines.manifest import Augment


def test_the_version_of_the_rubberband_program_counts_where_it_renders(tmp_path, monkeypatch):
    program = tmp_path / "rubberband"
    program.write_text("#!/bin/sh\necho 3.1.2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    environment.cache_clear()
    environment_digest.cache_clear()
    try:
        first = environment_digest("rubberband")
        assert environment("rubberband")["rubberband"] == "rubberband (rubberband 3.1.2)"
        assert "rubberband" not in environment("vocoder")
        assert environment_digest("vocoder") == environment_digest("signalsmith") != first
        program.write_text("#!/bin/sh\necho 3.3.0\n")
        environment.cache_clear()
        environment_digest.cache_clear()
        assert environment_digest("rubberband") != first
    finally:
        environment.cache_clear()
        environment_digest.cache_clear()


def test_an_engine_that_never_runs_is_none():
    assert Augment(engine="rubberband", probability=0.5).used_engine == "rubberband"
    assert Augment(engine="rubberband", probability=0.0).used_engine == ""


def test_the_wheel_whose_ffmpeg_decodes_g722_is_named():
    assert "imageio-ffmpeg" in environment()
