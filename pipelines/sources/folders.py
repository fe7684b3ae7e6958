"""What lies in a folder, and what of it cannot be used: every name below comes out once, the odd ones with their reason.

Linked folders are followed, but not back into the source, nor twice to the same place. A name that is not UTF-8 cannot be
written into a catalog; it comes out with its bytes as ``\\xE9`` and a reason. So does a folder that may not be listed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.sources.files import list_remote
from pipelines.sources.uris import readable_name
from stylefx.errors import SourceError
from stylefx.files.address import is_url, unset_variables


@dataclass(frozen=True)
class Place:
    """A file below a folder. ``problem`` says why it cannot be read; then ``path`` may be that of a whole ``folder``."""

    path: str
    size: int
    mtime_ns: int
    problem: str = ""
    folder: bool = False


def list_folder(root: str, source: str, links: list[str]) -> Iterator[Place]:
    """All files below, in an order that the file system cannot change. ``links`` gains the linked folders not followed.

    SourceError where the folder itself is not there, or may not be listed.
    """
    if is_url(root):
        yield from (Place(*found) for found in list_remote(root, source))
        return
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        unset = "".join(f"; the variable ${name} is not set" for name in unset_variables(root))
        raise SourceError(
            f"source {source}: {root!r} {what}{unset}; give a folder, a list (.csv, .tsv, .jsonl, .parquet, .m3u, wav.scp), "
            "an archive (.tar, .zip) or a URL"
        )
    try:
        os.scandir(root).close()
    except OSError as error:
        raise SourceError(f"source {source}: cannot list {root}: {error.strerror or error}; make it readable") from error
    yield from _Walk(os.path.realpath(root), links).below(root, "")


@dataclass
class _Walk:
    """``root``: the source, links resolved; ``followed``: the targets of links that were taken."""

    root: str
    links: list[str]
    followed: set[str] = field(default_factory=set)

    def below(self, folder: str, prefix: str) -> Iterator[Place]:
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda e: e.name)
        except FileNotFoundError:  # vanished meanwhile
            return
        except OSError as error:
            reason = f"unreadable: the folder cannot be listed ({error.strerror or error}); make it readable, or exclude it"
            yield Place(readable_name(prefix), 0, 0, reason, folder=True)
            return
        for entry in entries:
            name = f"{prefix}{entry.name}"
            try:
                if entry.is_dir(follow_symlinks=False) or (entry.is_dir() and self._follow(entry.path, name)):
                    yield from self.below(entry.path, f"{name}/")
                elif entry.is_file():
                    stat = entry.stat()
                    text = readable_name(name)
                    problem = "" if text == name else "unreadable: the name is not UTF-8; rename the file or its folder"
                    yield Place(text, stat.st_size, stat.st_mtime_ns, problem)
                elif entry.is_symlink() and not os.path.exists(entry.path):
                    reason = "unreadable: it is a link to what is not there; bring that back, or remove the link"
                    yield Place(readable_name(name), 0, 0, reason)
            except FileNotFoundError:  # vanished meanwhile
                continue
            except OSError as error:  # links in a circle, a folder that may be listed and not entered
                reason = f"unreadable: {error.strerror or error}; mend its link or its permissions, or exclude it"
                yield Place(readable_name(name), 0, 0, reason)

    def _follow(self, path: str, name: str) -> bool:
        target = os.path.realpath(path)
        seen = [self.root, *self.followed]
        if any(_inside(target, known) or _inside(known, target) for known in seen):
            self.links.append(readable_name(name))
            return False
        self.followed.add(target)
        return True


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
