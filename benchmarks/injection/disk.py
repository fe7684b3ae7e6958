"""What a power cut may leave of a disk: a file system in memory that replays a trace and knows what was synced.

A file's bytes are safe once the file was synced, a name (made, changed or removed) once its folder was. Everything else may be
there or not; ``LAYOUTS`` are the ways in which file systems have been seen to decide that.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from benchmarks.injection.rounds import TracedCall

#: nothing that was not synced; all names but no bytes; all bytes but no names; the first names and some of the bytes
LAYOUTS = ("nothing", "names", "bytes", "some")


@dataclass(eq=False)
class File:
    now: bytearray = field(default_factory=bytearray)
    safe: bytes = b""


@dataclass(eq=False)
class Folder:
    now: dict[str, File | Folder] = field(default_factory=dict)
    safe: dict[str, File | Folder] = field(default_factory=dict)


class Disk:
    """Files and folders below ``roots``, which are there from the start and safe."""

    def __init__(self, roots: list[Path]):
        self._roots = {str(root): Folder() for root in roots}
        self._unsynced: list[tuple[Folder, str, File | Folder | None]] = []  # changes of names, in order

    def apply(self, call: TracedCall) -> None:
        """One traced call. It was written down before it ran, so that it may have failed as any such call does."""
        path, found = call.path, self._find(call.path)
        parent, name = self._find(str(PurePosixPath(path).parent)), PurePosixPath(path).name
        if call.op in ("open-empty", "open-new"):
            if found is None and isinstance(parent, Folder):
                self._name(parent, name, found := File())
            if call.op == "open-empty" and isinstance(found, File):
                found.now = bytearray()
        elif call.op == "write" and isinstance(found, File):
            found.now[:] = found.now.ljust(call.offset, b"\0")
            found.now[call.offset : call.offset + len(call.data)] = call.data
        elif call.op == "truncate" and isinstance(found, File):
            found.now = found.now[: call.offset].ljust(call.offset, b"\0")
        elif call.op == "mkdir" and found is None and isinstance(parent, Folder):
            self._name(parent, name, Folder())
        elif call.op in ("unlink", "rmdir") and found is not None and isinstance(parent, Folder):
            self._name(parent, name, None)
        elif call.op == "rename" and found is not None and isinstance(parent, Folder):
            to = self._find(str(PurePosixPath(call.other).parent))
            if isinstance(to, Folder):
                self._name(to, PurePosixPath(call.other).name, found)
                self._name(parent, name, None)
        elif call.op == "fsync":
            self._sync(found)

    def _find(self, path: str) -> File | Folder | None:
        root = next((r for r in self._roots if path == r or path.startswith(f"{r}/")), None)
        if root is None:
            return None
        node: File | Folder | None = self._roots[root]
        for name in PurePosixPath(path).relative_to(root).parts:
            node = node.now.get(name) if isinstance(node, Folder) else None
        return node

    def _name(self, folder: Folder, name: str, node: File | Folder | None) -> None:
        _put(folder.now, name, node)
        self._unsynced.append((folder, name, node))

    def _sync(self, node: File | Folder | None) -> None:
        if isinstance(node, File):
            node.safe = bytes(node.now)
        elif node is not None:
            node.safe = dict(node.now)
            self._unsynced = [change for change in self._unsynced if change[0] is not node]

    def layout(self, kind: str, seed: str = "") -> dict[str, bytes | None]:
        """{path: bytes, or None for a folder} after a power cut right now."""
        rng = random.Random(seed)
        kept = {"names": len(self._unsynced), "some": rng.randint(0, len(self._unsynced))}.get(kind, 0)
        names: dict[int, dict[str, File | Folder]] = {}
        for folder, name, node in self._unsynced[:kept]:
            _put(names.setdefault(id(folder), dict(folder.safe)), name, node)
        out: dict[str, bytes | None] = {}

        def walk(path: str, node: File | Folder) -> None:
            if isinstance(node, File):
                out[path] = _bytes(node, kind, rng)
                return
            out[path] = None
            for name, child in names.get(id(node), node.safe).items():
                walk(f"{path}/{name}", child)

        for root, node in self._roots.items():
            walk(root, node)
        return out


def _put(names: dict[str, File | Folder], name: str, node: File | Folder | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _bytes(file: File, kind: str, rng: random.Random) -> bytes:
    if kind == "bytes":
        return bytes(file.now)
    if kind == "some" and bytes(file.now) != file.safe:
        kept = rng.randint(0, len(file.now))
        return bytes(file.now[:kept]).ljust(rng.choice((kept, len(file.now))), b"\0")
    return file.safe


def lay_out(found: dict[str, bytes | None]) -> None:
    """Write it to the real disk."""
    for path in sorted(found):
        data = found[path]
        if data is None:
            Path(path).mkdir(parents=True, exist_ok=True)
        else:
            Path(path).write_bytes(data)
