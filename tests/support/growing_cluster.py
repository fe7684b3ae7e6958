"""A Ray cluster with Ray's own autoscaler, on this machine: its nodes are Ray's "fake" ones, and nothing but demand brings them.

As ``ray.cluster_utils.AutoscalingCluster``, whose start and end stop every Ray process of the machine, also those of others, and
whose template is not in Ray's wheel.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

OBJECT_STORE = 80 << 20

_VARIABLES = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}

HEAD = "f" * 51 + "00000"  # as Ray's provider of fake nodes calls it


def _config(port: int, most: int) -> dict[str, Any]:
    """``most`` nodes of one CPU beside a head without any."""
    host = socket.gethostbyname(socket.gethostname())
    empty_lists = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")
    commands = {"head_start_ray_commands": [], "worker_start_ray_commands": []} | {name: [] for name in empty_lists}
    return commands | {
        "cluster_name": "growing",
        "max_workers": most,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": 30,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": f"{host}:{port}",
            "use_node_id_as_ip": True,  # all have the same address
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "one": {
                "resources": {"CPU": 1, "object_store_memory": OBJECT_STORE},
                "node_config": {},
                "min_workers": 0,
                "max_workers": most,
            },
        },
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "auth": {},
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


def _end(folder: str) -> None:
    """Whatever was started in the cluster's folder; the nodes are children of the autoscaler and outlive it."""
    import psutil

    found = [p for p in psutil.process_iter(["cmdline"]) if any(folder in word for word in p.info["cmdline"] or ())]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=10)


@contextlib.contextmanager
def growing_cluster(most: int) -> Iterator[Any]:
    """``ray.cluster_utils.Cluster`` whose head has no CPU, a dashboard, and an autoscaler that adds up to ``most`` nodes."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    from ray.cluster_utils import Cluster

    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="growing-", dir="/tmp") as folder:
        config = Path(folder) / "autoscaling.json"
        config.write_text(json.dumps(_config(port, most)))
        head = {"num_cpus": 0, "object_store_memory": OBJECT_STORE, "gcs_server_port": port, "autoscaling_config": str(config)}
        head |= {"include_dashboard": True, "dashboard_port": _free_port(), "temp_dir": folder}
        head["env_vars"] = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD}
        Path("/tmp/ray").mkdir(exist_ok=True)  # Cluster leaves its address there, wherever its own files are
        try:
            with mock.patch.dict(os.environ, **_VARIABLES):
                made = Cluster(initialize_head=True, head_node_args=head)
            yield made
            made.shutdown()
        finally:
            _end(folder)
