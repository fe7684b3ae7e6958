"""Addresses: what is one, what lies on another machine, and how to show one without the credentials in it."""

from __future__ import annotations

import os
import re
from typing import Any

_SCHEME = re.compile(r"[a-z][a-z0-9+.:-]*://", re.IGNORECASE)  # a colon: fsspec's chains, such as simplecache::s3://


def is_url(address: Any) -> bool:
    """Whether fsspec has to open it; a path is none."""
    return bool(_SCHEME.match(str(address)))


def is_remote(address: Any) -> bool:
    """Whether a server stands behind it, which may be away for a while."""
    return is_url(address) and not str(address).startswith("file://")


def expanded(path: str) -> str:
    """A path with ``~`` and ``$VAR`` replaced, as a shell would; a URL, and a variable that is not set, stay as they are."""
    return path if is_url(path) else os.path.expandvars(os.path.expanduser(path))


def unset_variables(path: str) -> list[str]:
    """The variables in a path that nobody has set: why it does not exist."""
    return [name for name in re.findall(r"\$\{?(\w+)\}?", path) if name not in os.environ]


def safe_uri(address: str) -> str:
    """The address without user, password and query, fit for messages and files."""
    return re.sub(r"\?.*\Z", "", re.sub(r"://[^/@]*@", "://", str(address)))


def redact(text: str) -> str:
    """Remove what looks like a credential from a foreign message."""
    text = re.sub(r"://[^/@\s]*@", "://", text)
    text = re.sub(
        r"(?i)(aws_?access_?key_?id|secret\w*|token|password|signature|credential)(\W{1,3})[^\s&,;'\")]+", r"\1\2***", text
    )
    return re.sub(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b", "***", text)
