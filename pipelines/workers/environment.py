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
from typing import Any

from stylefx import __version__
from stylefx.errors import UserError
from stylefx.foreign import PROGRAMS
from stylefx.plugins import PLUGIN, fingerprint

#: packages whose version can change any rendered sample
_PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "soundfile", "soxr")


#: what a manifest can render with besides -> the package whose version then counts
_OPTIONAL = {
    "audiomentations": "audiomentations",
    "g722": "imageio-ffmpeg",
    "libav": "av",
    "pyloudnorm": "pyloudnorm",
    "pyrubberband": "pyrubberband",
    "signalsmith": "python-stretch",
}


_RUBBER_BAND = ("rubberband", "pyrubberband")  # engines that run the program


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
def environment(rendered_with: tuple[str, ...] = ()) -> dict[str, str]:
    """Package versions, Python, libsndfile and CPU class, sorted by name; and the versions of what a manifest is
    ``rendered_with`` besides (``Manifest.rendered_with``). What it does not use does not count."""
    import soundfile

    out = {name: _version(name) for name in (*_PACKAGES, *(_OPTIONAL[part] for part in rendered_with if part in _OPTIONAL))}
    out |= {
        "stylefx": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "libsndfile": soundfile.__libsndfile_version__,
        "cpu": cpu_class(),
        "system": sys.platform,
    }
    for engine in set(rendered_with) & set(_RUBBER_BAND):
        from stylefx.audio import preflight

        try:
            out["rubberband"] = preflight(engine)
        except UserError:  # on a driver that renders nothing
            out["rubberband"] = "absent"
    if "flac" in rendered_with:
        from stylefx.audio.flac import ENCODER

        out["flac"] = ENCODER
    out |= {part: fingerprint(part.removeprefix(PLUGIN)) for part in rendered_with if part.startswith(PLUGIN)}
    out |= {program: _program(program) for program in rendered_with if program in PROGRAMS}
    return dict(sorted(out.items()))


def _program(name: str) -> str:
    """The version of a program that renders effects."""
    from stylefx.foreign import preflight

    try:
        return preflight(name)
    except UserError:  # on a driver that renders nothing
        return "absent"


@functools.cache
def environment_digest(rendered_with: tuple[str, ...] = ()) -> str:
    """32 hexadecimal digits over ``environment(rendered_with)``."""
    text = json.dumps(environment(rendered_with), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


#: one thread per render process: parallelism comes from the number of processes
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)


def _resource() -> Any:
    """The module of that name; None where there is none, as on Windows."""
    try:
        import resource
    except ImportError:
        return None
    return resource


def limit_memory(limit_mb: int) -> None:
    """Cap this process's private memory, so that a sample that wants more raises MemoryError instead of taking the
    machine down. 0 sets a share of the machine: its memory over its cores, at least 4 GB. Linux only (RLIMIT_DATA)."""
    resource = _resource()
    if resource is None or not sys.platform.startswith("linux"):
        return
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = limit_mb << 20 if limit_mb else max(4 << 30, total // (os.cpu_count() or 1))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def peak_memory_mb() -> float:
    """The process's highest resident size so far, in MB; 0 where the system does not tell."""
    resource = _resource()
    if resource is None:
        return 0.0
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
