"""Licences by one name each, and patterns over them: catalogs of the world write the same licence in many ways."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

#: in the order in which Creative Commons joins them
_PARTS = (("by", r"attribution"), ("nc", r"non-?commercial"), ("nd", r"no-?deriv"), ("sa", r"share-?alike"))


def plain_licence(text: str) -> str:
    """A licence as SPDX writes it, in small letters: ``CC BY-NC 4.0``, Creative Commons' addresses and its long names are
    ``cc-by-nc-4.0``. What is none of these only loses its spaces."""
    name = re.sub(r"[\s_]+", "-", text.strip().lower())
    match = re.search(r"creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)/([0-9.]+)", name)
    if match:
        kind = {"zero": "cc0", "mark": "pdm"}.get(match[2], f"cc-{match[2]}")
        return f"{kind}-{match[3]}"
    version = re.search(r"[0-9]\.[0-9]", name)
    number = f"-{version[0]}" if version else ""
    if "attribution" in name:
        return "-".join(["cc", *(part for part, words in _PARTS if re.search(words, name))]) + number
    if re.match(r"cc0|cc-zero|creative-commons-zero", name):
        return f"cc0{number or '-1.0'}"
    if "public-domain-mark" in name:
        return f"pdm{number}"
    return name


def spdx(text: str) -> str:
    """The same with SPDX's capitals, for files that people read."""
    name = plain_licence(text)
    return name.upper() if re.match(r"cc|pdm", name) else text.strip()


def licence_wanted(licence: str, patterns: Sequence[str]) -> bool:
    """Whether a licence is one of the patterns and none of those that begin with ``!``. ``CC0`` is ``CC0-1.0`` too."""
    name = plain_licence(licence)
    refused = [p[1:] for p in patterns if p.startswith("!")]
    wanted = [p for p in patterns if not p.startswith("!")] or ["*"]
    return any(_matches(name, p) for p in wanted) and not any(_matches(name, p) for p in refused)


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.lower() if any(c in pattern for c in "*?[") else plain_licence(pattern)
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}-[0-9].[0-9]")
