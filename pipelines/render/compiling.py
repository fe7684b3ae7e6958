"""Loops that no process compiled on this machine yet, compiled by several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from stylefx.files.processes.cores import cores

_CHILD = "import sys; from pipelines.render.kernels import load_part; load_part(*sys.argv[1:])"


def compile_apart(manifest_json: str, parts: Sequence[str]) -> None:
    """Every part in a process of its own, as many at a time as there are cores; they leave what they compile in numba's cache.
    Nothing depends on them: whoever loads a part compiles what is still missing."""
    count = min(cores(), len(parts))
    if count < 2:
        return
    none = subprocess.DEVNULL
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    waiting = list(parts)
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="stylefx-") as folder:
        manifest = Path(folder) / "manifest.json"
        manifest.write_text(manifest_json)
        try:
            while waiting or running:
                while waiting and len(running) < count:
                    command = [sys.executable, "-c", _CHILD, str(manifest), waiting.pop(0)]
                    running.append(subprocess.Popen(command, env=environment, stdin=none, stdout=none, stderr=none))
                time.sleep(0.02)
                running = [process for process in running if process.poll() is None]
        finally:
            for process in running:
                process.kill()
                process.wait()
