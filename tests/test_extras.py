"""Dependencies by role: what is missing is said in one sentence with the line that installs it, and no role needs another's."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import soundfile

from stylefx import extras
from stylefx.extras import install_line, missing_package
from tests.support.builds import write_sources
from tests.support.hiding import EXTRAS, ROOT, TRAIN_ONLY, run_without
from tests.support.signals import speech_like


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("extras")
    write_sources(folder / "voices", speakers=3, seconds=4)
    (folder / "m.yaml").write_text(
        "name: m\noutput: corpus\nsources: [{name: s, path: voices}]\nsegment: {half_frames: 8192, sample_rate: 12000}\n"
        "split: {fractions: {train: 1, val: 0, test: 0}}\nshard: {samples: 4}\n"
    )
    (folder / "t.yaml").write_text("steps: 1\ndata: {corpora: [corpus]}\n")
    soundfile.write(folder / "a.wav", speech_like(48000, 24000).T, 24000)
    return folder


@pytest.mark.parametrize(
    ("program", "arguments", "hidden", "extra"),
    [
        ("stylefx", ["train", "t.yaml", "--dry-run"], "torch", "train"),
        ("stylefx", ["evaluate", "model", "corpus"], "torch", "train"),
        ("stylefx", ["evaluate", "--help"], "pyarrow", "train"),
        ("stylefx", ["transfer", "a.wav", "a.wav", "-o", "b.wav"], "torch", "train"),
        ("stylefx", ["transfer", "a.wav", "a.wav", "-o", "b.wav"], "safetensors", "train"),
        ("stylefx", ["train-proxy", "gain", "voices", "-o", "p"], "torch", "train"),
        ("stylefx", ["compare-strategies", "voices", "-o", "c"], "torch", "train"),
        ("stylefx-pipe", ["scan", "m.yaml"], "pyarrow", "pipe"),
        ("stylefx-pipe", ["build", "m.yaml"], "pyarrow", "pipe"),
        ("stylefx-pipe", ["status", "voices"], "pyarrow", "pipe"),
        ("stylefx-pipe", ["status", "memory://x"], "fsspec", "pipe"),
        ("stylefx-pipe", ["build", "m.yaml", "--executor", "ray"], "ray", "pipe"),
        ("stylefx-pipe", ["build", "m.yaml", "augment.extra=[{name: Gain}]", "--out", "e"], "audiomentations", "pipe"),
        ("stylefx-pipe", ["build", "m.yaml", "augment.engine=signalsmith", "--out", "s"], "python_stretch", "pipe"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_command_without_its_packages_says_what_to_install(program, arguments, hidden, extra, place):
    done = run_without([hidden], place, program, *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert hidden in done.stderr
    assert done.stderr.rstrip().endswith(install_line(extra))


@pytest.mark.parametrize("hidden", ["ray", "pandas"])
def test_the_ray_launcher_says_what_to_install(hidden, place):
    done = run_without([hidden], place, "stylefx", "train", "t.yaml", "--launcher", "ray")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"error: --launcher ray needs Ray Train \(.*\); install it .*\[train,ray-train\]'\n\Z", done.stderr)


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("stylefx", ""), ("stylefx", "train"), ("stylefx", "config"), ("stylefx", "transfer"), ("stylefx", "render"),
        ("stylefx", "export"), ("stylefx", "train-proxy"), ("stylefx", "compare-strategies"), ("stylefx-pipe", ""),
        *(("stylefx-pipe", name) for name in ("fetch", "schema", "manifest", "plan", "build", "inspect")),
    ],
)  # fmt: skip
def test_help_needs_no_extra(program, command, place):
    done = run_without(EXTRAS, place, program, *([command] if command else []), "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_core_renders_and_exports_settings(place):
    settings = {
        "format": "stylefx-settings", "version": 1, "made_by": "a test", "sample_rate_hz": 24000, "output_gain_db": 0.0,
        "about": {},
        "effects": [{"effect": "compressor", "config": {}, "settings": {"threshold_db": -30}, "units": {}, "clamped": {}}],
    }  # fmt: skip
    (place / "s.json").write_text(json.dumps(settings))
    done = run_without(EXTRAS, place, "stylefx", "render", "a.wav", "--settings", "s.json", "-o", "r.wav")
    assert done.returncode == 0, done.stderr
    assert soundfile.info(place / "r.wav").frames == soundfile.info(place / "a.wav").frames
    done = run_without(EXTRAS, place, "stylefx", "export", "s.json", "--to", "ffmpeg", "-o", "r.sh")
    assert done.returncode == 0, done.stderr


def test_a_corpus_is_built_and_verified_without_torch(place):
    """In the driver and in its workers, with what `pipe` brings."""
    done = run_without(TRAIN_ONLY, place, "stylefx-pipe", "build", "m.yaml", "--workers", 2, "--progress", "lines")
    assert done.returncode == 0, done.stderr
    done = run_without(TRAIN_ONLY, place, "stylefx-pipe", "verify", "corpus")
    assert done.returncode == 0, done.stderr


def test_a_module_that_is_no_package_of_ours_is_no_installation_matter():
    assert missing_package(ModuleNotFoundError("x", name="nowhere")) is None
    assert missing_package(ImportError("cannot import name", name="torch")) is None
    assert missing_package(ModuleNotFoundError("x", name="torch.nn")).endswith(install_line("train"))


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        ("/home/me/.local/share/pipx/venvs/stylefx", "pipx install --force 'stylefx[train]'"),
        ("/home/me/.local/share/uv/tools/stylefx", "uv tool install 'stylefx[train]'"),
        ("/home/me/venv", "pip install 'stylefx[train]'"),
    ],
)
def test_the_line_that_installs_fits_how_it_was_installed(prefix, line, monkeypatch, tmp_path):
    install_line.cache_clear()
    try:
        assert install_line("train") == f"pip install -e '{ROOT}[train]'"
        install_line.cache_clear()
        monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages/stylefx/extras.py"))
        monkeypatch.setattr(sys, "prefix", prefix)
        assert install_line("train") == line
        install_line.cache_clear()
        monkeypatch.setattr(extras, "_was_uv", lambda: True)
        assert "pipx" in line or "tool" in line or install_line("train") == "uv pip install 'stylefx[train]'"
    finally:
        install_line.cache_clear()


_NAMED_OTHERWISE = {"mlflow": "mlflow-skinny"}  # the module's package, where it is not installed here


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
    declared = {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower().replace("_", "-") for line in lines}
    names = metadata.packages_distributions()
    missing = {}
    for path in [*(ROOT / "stylefx").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]:
        for module in _imported(path) - set(sys.stdlib_module_names) - {"stylefx", "pipelines"}:
            if not {d.lower().replace("_", "-") for d in names.get(module, [_NAMED_OTHERWISE.get(module, module)])} & declared:
                missing.setdefault(module, str(path.relative_to(ROOT)))
    assert missing == {}


def _imported(path: Path) -> set[str]:
    out = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            out.add(node.module.partition(".")[0])
    return out
