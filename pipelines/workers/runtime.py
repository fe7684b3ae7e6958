"""Coming by a Ray runtime: a cluster at an address, or a private one that this process starts and ends."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from pipelines.workers.environment import ONE_THREAD
from stylefx.errors import IncompleteError, UserError, first_line
from stylefx.files.processes.lease import process_lives

_OBJECT_STORE_BYTES = 80 << 20  # reports are small and audio never passes through Ray; 75 MiB is Ray's least

_ATTEMPTS = 2  # to start a private runtime

_LISTEN_S, _CONNECT_S = 15.0, 5.0  # how long an address is tried, and once

LOCAL = "local"  # Ray's own word for a private runtime

ADDRESS_VARIABLE = "RAY_ADDRESS"

#: Ray reads these when it is imported
_SETTINGS = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}

#: Ray gives way to everything else that runs, with workers at nice 15. On a machine of our own the build is what it is for;
#: who wants otherwise starts the command itself under nice, which its workers inherit, or sets this variable.
_LOCAL_SETTINGS = {"RAY_worker_niceness": "0"}


def import_ray() -> Any:
    os.environ.update({k: v for k, v in _SETTINGS.items() if k not in os.environ})
    import ray

    return ray


def address_from_environment(kind: str, address: str | None) -> str | None:
    """The cluster that Ray's own variable names, as `ray job submit` sets it; None where it names none, or where the command
    line says what to use. The word ``local`` stands for a private runtime."""
    named = os.environ.get(ADDRESS_VARIABLE, "").strip()
    return named if named and named != LOCAL and address is None and kind in ("auto", "ray") else None


def connect(ray: Any, address: str) -> None:
    """Join the cluster at the address. UserError for what is no address, IncompleteError where nothing answers in time."""
    place = _place_of(address)
    if place is not None:
        _wait_for_listener(place, address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": ONE_THREAD})
    except (ConnectionError, TimeoutError, RuntimeError) as error:
        raise IncompleteError(
            f"no Ray cluster answers at --address {address}: {first_line(error)}; start it and run again"
        ) from None
    except ValueError as error:
        raise UserError(f"--address {address} is no address of a Ray cluster: {first_line(error)}") from None


def _place_of(address: str) -> tuple[str, int] | None:
    """Host and port that must listen before Ray is asked, which waits for minutes; None where only Ray can tell."""
    if address == "auto":
        from ray._private.services import canonicalize_bootstrap_address

        try:
            address = canonicalize_bootstrap_address(address) or ""
        except (ConnectionError, ValueError) as error:
            raise IncompleteError(f"no Ray cluster runs on this machine (--address auto): {first_line(error)}") from None
        if not address:
            raise IncompleteError(
                "no Ray cluster runs on this machine (--address auto); give its address, or none for a private one"
            )
    elif address.startswith("ray://"):
        address = address.removeprefix("ray://").partition("/")[0]
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        return None
    return host.strip("[]"), int(port)


def _wait_for_listener(place: tuple[str, int], address: str) -> None:
    deadline = time.monotonic() + _LISTEN_S
    while True:
        try:
            socket.create_connection(place, timeout=_CONNECT_S).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, socket.gaierror) or time.monotonic() + 1.0 > deadline:
                break
        time.sleep(1.0)
    raise IncompleteError(
        f"no Ray cluster answers at --address {address}: {reason}; start it, or give another address, and run again"
    )


def start_private(ray: Any, workers: int) -> str:
    """A runtime of our own: address="local", because a bare init can attach to a stranger's cluster. Returns its folder."""
    for attempt in range(_ATTEMPTS):
        try:
            return _started(ray, workers)
        except Exception as error:
            with contextlib.suppress(Exception):
                ray.shutdown()
            if attempt + 1 == _ATTEMPTS:
                raise did_not_start(error) from error
    raise AssertionError


def _started(ray: Any, workers: int) -> str:
    place = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # paths of sockets must be short
    _remove_left_behind(place)
    folder = tempfile.mkdtemp(prefix=f"sfx-{os.getpid()}-", dir=place)
    inherited = ONE_THREAD | _LOCAL_SETTINGS  # by the runtime's processes
    before = {name: os.environ.get(name) for name in inherited}
    os.environ.update(inherited | {k: v for k, v in os.environ.items() if k in _LOCAL_SETTINGS})
    try:
        ray.init(
            address=LOCAL,
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=folder,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return folder


def did_not_start(error: Exception) -> IncompleteError:
    return IncompleteError(f"Ray's own processes did not start or died at once ({first_line(error)}); run the same command again")


def _remove_left_behind(place: str) -> None:
    """Drop the folders of our drivers that were killed more than ten minutes ago."""
    for path in Path(place).glob("sfx-*-*"):
        with contextlib.suppress(OSError, ValueError):
            status = path.lstat()
            mine = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode)
            if mine and time.time() - status.st_mtime > 600 and not process_lives(int(path.name.split("-")[1])):
                shutil.rmtree(path, ignore_errors=True)
