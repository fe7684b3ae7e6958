"""What the bytes of a render depend on besides manifest and plan: package versions and the class of the CPU.

Two machines with the same digest make the same bytes; with different digests they agree to 1 LSB for 99.99 % of the
samples, because compilers and mathematics libraries round differently.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import sys
from importlib import metadata

from stylefx import __version__
from stylefx.errors import UserError

#: packages whose version can change a rendered sample
_PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "soundfile",
    "soxr",
    "python-stretch",
    "audiomentations",
    "pyloudnorm",
    "imageio-ffmpeg",
)


def cpu_class() -> str:
    """The widest vector extension that compiled kernels use, as machine/extension."""
    machine = platform.machine().lower()
    try:
        import llvmlite.binding as llvm

        features = llvm.get_host_cpu_features()
    except (ImportError, RuntimeError):  # the host's features are unknown to LLVM on some systems
        return f"{machine}/unknown"
    for name in ("avx512f", "avx2", "avx", "sve", "neon"):
        if features.get(name):
            return f"{machine}/{name}"
    return f"{machine}/baseline"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def environment(engine: str = "") -> dict[str, str]:
    """Package versions, Python, libsndfile and CPU class, sorted by name; of the engine too, where it is a program of its own."""
    import soundfile

    out = {name: _version(name) for name in _PACKAGES}
    out |= {
        "stylefx": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "libsndfile": soundfile.__libsndfile_version__,
        "cpu": cpu_class(),
        "system": sys.platform,
    }
    if engine == "rubberband":
        from stylefx.audio import preflight

        try:
            out["rubberband"] = preflight(engine)
        except UserError:  # on a driver that renders nothing
            out["rubberband"] = "absent"
    return dict(sorted(out.items()))


@functools.cache
def environment_digest(engine: str = "") -> str:
    """32 hexadecimal digits over ``environment(engine)``."""
    text = json.dumps(environment(engine), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


#: one thread per render process: parallelism comes from the number of processes
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)


def limit_memory(limit_mb: int) -> None:
    """Cap this process's private memory, so that a sample that wants more raises MemoryError instead of taking the
    machine down. 0 sets a share of the machine: its memory over its cores, at least 4 GB. Linux only (RLIMIT_DATA)."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = limit_mb << 20 if limit_mb else max(4 << 30, total // (os.cpu_count() or 1))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def peak_memory_mb() -> float:
    """The process's highest resident size so far, in MB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
