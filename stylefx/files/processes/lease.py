"""What leases of both packages agree on: how often one is renewed, and whether its holder still lives.

Correctness never depends on a lease; it keeps two processes from doing the same work twice.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

RENEW_S = 20.0


DEAD_AFTER_S = 10 * RENEW_S  # clocks of machines that share a folder may differ by less than that


def machine() -> str:
    """Names the boot and the process namespace in which a process number means something."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    return socket.gethostname()


_QUERY, _STILL_ACTIVE = 0x1000, 259  # PROCESS_QUERY_LIMITED_INFORMATION, and the exit code of what runs


def process_lives(pid: int) -> bool:
    if os.name == "nt":
        return _lives_on_windows(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # a killed process that nobody waited for is dead
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _lives_on_windows(pid: int) -> bool:
    """There ``os.kill(pid, 0)`` is no question but Ctrl-C."""
    import ctypes

    kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined]  # Windows only
    handle = kernel.OpenProcess(_QUERY, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == _STILL_ACTIVE


def is_live(lease: dict[str, Any], now_s: float | None = None) -> bool:
    """Whether the lease's holder still runs, as far as can be told from here."""
    if lease.get("machine") == machine() and not process_lives(int(lease.get("pid", -1))):
        return False
    return (now_s or time.time()) - float(lease.get("renewed_s", 0)) < DEAD_AFTER_S
