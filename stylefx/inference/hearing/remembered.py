"""What was measured of recordings, kept by their content: a file that changed is measured again, whatever its name and date."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stylefx.errors import UserError

T = TypeVar("T")
MOST_RECORDINGS = 16  # eight windows of five seconds each are 4 MB


def content_digest(path: str | Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal; UserError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give an audio file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be opened: {error.strerror or error}") from None


class Remembered:
    """Results by (content of a file, question); what was asked for longest ago goes first."""

    def __init__(self, most: int = MOST_RECORDINGS):
        self._most = most
        self._found: OrderedDict[tuple[str, object], object] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def ask(self, path: str | Path, question: object, answer: Callable[[str | Path], T]) -> T:
        """``answer(path)``, or what it was for the same bytes; ``question`` tells kinds of answers apart."""
        key = (content_digest(path), question)
        if key not in self._found:
            self._found[key] = answer(path)
        self._found.move_to_end(key)
        while len(self._found) > self._most:
            self._found.popitem(last=False)
        return self._found[key]  # type: ignore[return-value]
