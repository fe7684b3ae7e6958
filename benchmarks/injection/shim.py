"""The shim (shim.c) from Python: compiled with the system's compiler, loaded by starting this program again under LD_PRELOAD."""

from __future__ import annotations

import atexit
import ctypes
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KILL_ALL, KILL_ONE = -1, -2
STICKY, TRACE = 1, 2
NO_COMPILER = "faults of single system calls need Linux and a C compiler: apt-get install gcc"


class _State(ctypes.Structure):
    """As in shim.c."""

    _fields_ = [
        ("count", ctypes.c_int64),
        ("target", ctypes.c_int64),
        ("armed", ctypes.c_int32),
        ("action", ctypes.c_int32),
        ("flags", ctypes.c_int32),
        ("lock", ctypes.c_int32),
        ("fired", ctypes.c_int64),
        ("roots", ctypes.c_char * 1008),
        ("trace", ctypes.c_char * 1024),
        ("what", ctypes.c_char * 2048),
    ]


def compiler() -> str | None:
    """The C compiler, None where there is none or the system is another."""
    return (shutil.which("cc") or shutil.which("gcc")) if sys.platform.startswith("linux") else None


def compile_shim(folder: Path) -> Path:
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler() or "cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def environment(folder: Path) -> dict[str, str]:
    """What a program needs that is to run under the shim, whose library and state lie in ``folder``."""
    state = folder / "state"
    state.write_bytes(bytes(ctypes.sizeof(_State)))
    return os.environ | {"LD_PRELOAD": str(compile_shim(folder)), "SHIM_STATE": str(state)}


class Shim:
    """The state of the shim under which this process runs; forks of it share the state."""

    def __init__(self) -> None:
        with open(os.environ["SHIM_STATE"], "r+b") as file:
            self._state = _State.from_buffer(mmap.mmap(file.fileno(), ctypes.sizeof(_State)))

    def arm(self, roots: list[Path], target: int = 0, action: int = 0, sticky: bool = False, trace: Path | None = None) -> None:
        """Count from now on; the ``target``-th call below the roots meets ``action``: an errno, KILL_ALL or KILL_ONE."""
        state = self._state
        state.armed = 0
        state.count, state.target, state.action, state.fired, state.lock = 0, target, action, 0, 0
        state.flags = STICKY * sticky | TRACE * (trace is not None)
        state.roots = "\n".join(map(str, roots)).encode()
        state.trace, state.what = str(trace or "").encode(), b""
        state.armed = 1

    def disarm(self) -> None:
        self._state.armed = 0

    @property
    def count(self) -> int:
        return int(self._state.count)

    @property
    def fired(self) -> str:
        """The call that was made to fail, "" for none."""
        return self._state.what.decode() if self._state.fired else ""


def run_again_under_shim(module: str) -> None:
    """Replace this process by ``python -m module`` with the same arguments under the shim, unless it runs under it already."""
    if os.environ.get("SHIM_STATE"):
        atexit.register(shutil.rmtree, Path(os.environ["SHIM_STATE"]).parent, ignore_errors=True)  # forks leave without it
        return
    folder = Path(tempfile.mkdtemp(prefix="sfx-shim-", dir=fast_folder()))
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment(folder))


def fast_folder() -> Path | None:
    """A file system in memory, where there is one: tens of thousands of syncs need no disk."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else None
