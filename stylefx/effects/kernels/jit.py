"""Compilation of the sample loops: once per machine, kept on disk, also where nothing of ours may be written.

``kernel`` is numba.njit without fast maths: no reordering and no contraction, so that a loop gives the same bits on
every processor and for every block length. Where a fused multiply-add is wanted it is written down: ``fma(a, b, c)``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from llvmlite import ir
from numba.extending import intrinsic


@lru_cache(maxsize=64)
def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def private_cache_folder() -> Path:
    """A folder below the temporary folder that belongs to this user alone: others must not plant machine code in it."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"stylefx-kernels-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022 or folder.is_symlink()):
            return Path(tempfile.mkdtemp(prefix="stylefx-kernels-"))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="stylefx-kernels-"))
    return folder


def _choose_cache(source: Path) -> None:
    """Leave numba its usual places, NUMBA_CACHE_DIR or __pycache__ beside the source; where neither can be written, ours."""
    configured = getattr(numba.config, "CACHE_DIR", "")  # set while numba is imported, where no type checker sees it
    if configured:
        if _writable(Path(configured)):
            return
    elif _writable(source.parent / "__pycache__"):
        return
    folder = str(private_cache_folder())
    os.environ["NUMBA_CACHE_DIR"] = folder  # child processes share it, and numba may read its environment again
    numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a sample loop on first use and keep it on disk. Keep what a kernel calls in the same file:
    the cache notices a change of that file only."""
    _choose_cache(Path(function.__code__.co_filename))
    return numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)


def compilations(kernel: Any) -> int:
    """How often this process compiled a kernel, once for every kind of arguments that it did not find on the disk."""
    return sum(kernel.stats.cache_misses.values())


def vector_fma(builder: Any, a: Any, b: Any, c: Any, operation: str = "fma") -> Any:
    """The instruction a * b + c with one rounding, of floats or of vectors of them; llvmlite's own takes no vectors.

    ``operation`` "fmuladd" rounds once or twice, whatever is faster: for what is exact anyway.
    """
    kind = a.type
    element = getattr(kind, "element", kind)
    width = f"v{kind.count}" if element is not kind else ""
    name = f"llvm.{operation}.{width}{element.intrinsic_name}"
    function = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


if TYPE_CHECKING:

    def fma(a: Any, b: Any, c: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

else:

    @intrinsic
    def fma(typing_context, a, b, c):
        """a * b + c with one rounding, float64: half the latency, and the same bits wherever it runs."""
        double = numba.types.float64

        def code(context, builder, signature, arguments):
            return builder.fma(*arguments)

        return double(double, double, double), code
