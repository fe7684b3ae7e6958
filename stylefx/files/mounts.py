"""On what kind of file system a path lies."""

from __future__ import annotations

from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "gluster",
    "fuse.sshfs",
    "fuse.gluster",
    "9p",
    "afs",
    "panfs",
)


def network_mount(path: Path) -> str | None:
    """The kind of network file system that a path lies on, such as "nfs4"; None for a local one, or where that is unknown."""
    try:
        lines = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return None
    target = str(path.absolute())
    found = ""
    kind = None
    for _, folder, name, *_ in lines:
        folder = folder.replace("\\040", " ")
        if (target == folder or target.startswith(folder.rstrip("/") + "/")) and len(folder) >= len(found):
            found, kind = folder, name
    return kind if kind is not None and kind.startswith(_NETWORK) else None
