"""Commands in a process, and its children, for which some packages are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]

_BLOCKER = """
import os, sys

HIDDEN = frozenset(os.environ.get("STYLEFX_TEST_HIDDEN", "").split(","))


class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker)
"""

#: what the extras bring: a core installation has none of them
EXTRAS = (
    "torch", "ray", "pyarrow", "fsspec", "PIL", "audiomentations", "python_stretch", "pyloudnorm", "pyrubberband", "safetensors",
    "tensorboard", "webdataset", "braceexpand", "matplotlib", "pandas", "librosa",
)  # fmt: skip

#: what only `train` brings
TRAIN_ONLY = ("torch", "safetensors", "tensorboard", "webdataset", "braceexpand", "matplotlib", "pandas")


def run_without(
    hidden: Iterable[str], folder: Path, program: str, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """``stylefx`` or ``stylefx-pipe`` with its arguments; ``folder`` takes the module that hides."""
    (folder / "hiding").mkdir(exist_ok=True)
    (folder / "hiding" / "sitecustomize.py").write_text(_BLOCKER)
    module = {"stylefx": "stylefx.cli", "stylefx-pipe": "pipelines.cli.main"}[program]
    paths = f"{folder / 'hiding'}{os.pathsep}{ROOT}"
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths, "STYLEFX_TEST_HIDDEN": ",".join(hidden)} | environment,
    )
