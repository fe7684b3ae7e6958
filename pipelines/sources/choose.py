"""Which of a source's files are recordings: include and exclude globs, and the endings of audio files."""

from __future__ import annotations

import fnmatch
import re
from pathlib import PurePosixPath

from pipelines.manifest.sources import Source
from stylefx.files.endings import AUDIO_SUFFIXES

_GLOB = re.compile(r"[*?\[]")


class Chooser:
    """The choice of one source."""

    def __init__(self, source: Source):
        self._any_name = source.kind is not None  # a plug-in knows what its recordings are
        self._include = [(p, self.pattern(p)) for p in source.include]
        self._exclude = [self.pattern(p) for p in source.exclude]

    def wanted(self, path: str) -> bool:
        """Whether the globs let a path pass."""
        return any(p.match(path) for _, p in self._include) and not any(p.match(path) for p in self._exclude)

    def is_audio(self, path: str) -> bool:
        return self._any_name or PurePosixPath(path).suffix.lower() in AUDIO_SUFFIXES

    def may_hold(self, place: str) -> bool:
        """Whether a recording that the globs let pass could lie in a folder (``name/``) or an archive."""
        if place.endswith("/"):
            excluded = any(p.match(f"{place}x") for p in self._exclude)
            return not excluded and any(_meets(glob, place) for glob, _ in self._include)
        return not any(p.match(place) or p.match(f"{place}!/x") for p in self._exclude)

    @staticmethod
    def pattern(glob: str) -> re.Pattern[str]:
        """``**`` spans folders, ``*`` and ``?`` do not; a pattern without a slash matches the name in any folder."""
        if "/" not in glob and glob != "**":
            glob = f"**/{glob}"
        return re.compile("(?s:" + "".join(map(_part, re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", glob))) + r")\Z")


def _part(part: str) -> str:
    plain = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if part in plain:
        return plain[part]
    if part.startswith("[") and part.endswith("]"):
        return fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z")
    return re.escape(part)


def _meets(glob: str, folder: str) -> bool:
    """Whether a glob could match below a folder: as far as both are written out they agree."""
    if "/" not in glob:
        return True
    match = _GLOB.search(glob)
    written = glob[: match.start()] if match else glob
    return folder.startswith(written) or written.startswith(folder)
