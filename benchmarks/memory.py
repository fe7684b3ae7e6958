"""Memory that one call takes on the CPU: growth of the peak of the resident set, in a fresh process. Linux only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def peak_kib() -> int:
    """The largest resident set since the process began or ``growth_mib`` last set it back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise RuntimeError("this system does not report the peak of the resident set")


def growth_mib(call: Callable[[], object]) -> float:
    """How far ``call`` raises the peak, in MiB. Warm up first: compiled code and libraries count too."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before = peak_kib()
    call()
    return (peak_kib() - before) / 1024


def in_fresh_process(module: str, function: str, *arguments: object, threads: int) -> str:
    """``function(*arguments)``, which returns ``growth_mib`` of something, in a process of its own; "n/a" where it fails."""
    code = (
        f"import torch; torch.set_num_threads({threads})\n"
        f"from {module} import {function}\n"
        f"print({function}({', '.join(map(repr, arguments))}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return f"{float(run.stdout.split()[-1]):.0f}" if run.returncode == 0 else "n/a"
