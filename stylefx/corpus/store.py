"""Where a corpus' files come from: a local folder, read in place."""

from __future__ import annotations

from pathlib import Path

from stylefx.errors import UserError


class LocalStore:
    """Files of a corpus in a folder. ``path`` takes names relative to the corpus."""

    limit_bytes = None  # nothing is cached

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def __str__(self) -> str:
        return str(self.root)

    def path(self, name: str, sha256: str | None = None) -> Path:
        """A local path to read the file from; UserError when it is missing."""
        path = self.root / name
        if not path.is_file():
            raise UserError(f"{path} is missing although the corpus lists it; verify the corpus with stylefx-pipe verify")
        return path

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def prefetch(self, files: list[tuple[str, str | None]]) -> None:
        """Nothing to fetch."""

    def close(self) -> None:
        """Nothing to stop."""
