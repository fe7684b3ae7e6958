"""Whether a large recording is still what was scanned: hashed once by a machine, not by every worker, and again when it changes.

Its digest is kept in ``STYLEFX_CACHE`` under its address, size and time; one worker hashes while the others that need it wait.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.sources.files import stat_uri
from pipelines.sources.listing import file_sha256
from stylefx.files.cache import Cache, cache_folder
from stylefx.keyed import hex_digest


def digest_on_this_machine(uri: str) -> str:
    """sha256 in hexadecimal, of a local file, an object or a member; FileNotFoundError where there is none."""
    size, mtime_ns, problem = stat_uri(uri)
    if problem == "no such file":
        raise FileNotFoundError(uri)
    if not mtime_ns:  # a store that says no time could have changed it
        return file_sha256(uri)
    cache, key = Cache(cache_folder() / "digests", limit_bytes=None), f"{hex_digest(uri, size, mtime_ns)}.sha256"

    def write(part: Path) -> None:
        part.write_text(file_sha256(uri))

    try:
        path = cache.fill(key, write)
        kept = "" if path is None else path.read_text()
    except OSError:  # the cache is a convenience: a full or read-only one stops no build
        kept = ""
    return kept if len(kept) == 64 else file_sha256(uri)
