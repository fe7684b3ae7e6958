"""Plug-ins: effects, sources, augmentations and encoders of installed packages, found by their entry points.

A package declares, in its pyproject.toml, names in one of the groups below; nothing of it is imported before a name is asked
for. A manifest or a training configuration lists the packages that it means under ``plugins``, so that whoever builds from it
knows what to install, every node is asked for them before it works, and the environment of a corpus records them. Only packages
that declare such entry points are ever loaded: a manifest cannot name any other module.
"""

from __future__ import annotations

import functools
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

EFFECTS, SOURCES = "stylefx.effects", "stylefx.sources"
AUGMENTATIONS, ENCODERS = "stylefx.augmentations", "stylefx.encoders"
PLUGIN = "plug-in "  # before a package's name, where an environment lists it
GROUPS = (EFFECTS, SOURCES, AUGMENTATIONS, ENCODERS)


@dataclass(frozen=True)
class SourceRecording:
    """One recording of a plug-in's source. ``path`` names it within the source and never changes; ``size`` and ``mtime_ns`` tell
    whether it changed; ``columns`` are what rules for groups, labels and licences read."""

    path: str
    size: int
    mtime_ns: int
    columns: Mapping[str, str] = field(default_factory=dict)


class SourcePlugin(ABC):
    """A kind of source: made with the manifest's ``path``, whatever that means to it; every process makes its own."""

    def __init__(self, location: str):
        self.location = location

    @abstractmethod
    def recordings(self) -> Iterable[SourceRecording]:
        """Everything there is, in any order. UserError (stylefx.errors) for a location that cannot be read."""

    @abstractmethod
    def open(self, path: str) -> str | BinaryIO:
        """The recording of that path: a local file's name, or a seekable binary file of any format that can be decoded.
        FileNotFoundError where it is gone."""

    def check(self) -> None:  # noqa: B027 (a hook: nothing to check by default)
        """Before a build, on every node: UserError where this machine cannot reach the location."""


@functools.cache
def _all_entry_points() -> Any:  # before Python 3.12 another type with the same ``select``
    """Of every installed package: looking through them takes a hundred times as long as choosing."""
    return metadata.entry_points()


@functools.cache
def _entry_points(group: str) -> dict[str, metadata.EntryPoint]:
    """By name; UserError where two packages claim one."""
    found: dict[str, metadata.EntryPoint] = {}
    for entry in _all_entry_points().select(group=group):
        other = found.setdefault(entry.name, entry)
        if _package(other) != _package(entry):
            raise UserError(
                f"two packages provide {entry.name!r} in {group}: {_package(other)} and {_package(entry)}; uninstall one of them"
            )
    return found


def _package(entry: metadata.EntryPoint) -> str:
    return normalised(entry.dist.name) if entry.dist is not None else "unknown"


def normalised(name: str) -> str:
    """A package's name as installers compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def provided(group: str) -> list[str]:
    """The names that installed plug-ins provide."""
    return sorted(_entry_points(group))


def provider(group: str, name: str) -> str | None:
    """The package that provides this name, None where none does."""
    entry = _entry_points(group).get(name)
    return None if entry is None else _package(entry)


def load(group: str, name: str) -> Any:
    """What a plug-in provides under this name; UserError where it cannot be imported."""
    entry = _entry_points(group)[name]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"the plug-in {_package(entry)} cannot be loaded: {error}; install it again, or repair {entry.value}"
        ) from error


def installed() -> list[str]:
    """The packages that provide anything."""
    return sorted({_package(entry) for group in GROUPS for entry in _entry_points(group).values()})


def check_installed(packages: Iterable[str], where: str = "plugins") -> None:
    """UserError for a package that is not installed here, or provides nothing; each is loaded, so that what fails fails now."""
    known = installed()
    for name in packages:
        package = normalised(name)
        if package not in known:
            hint = did_you_mean(package, known, f"installed are {', '.join(known) or 'none'}")
            raise UserError(
                f"{where}: the plug-in {name!r} is not installed here{hint}; pip install it on every machine that works"
            )
        for group in GROUPS:
            for entry in _entry_points(group).values():
                if _package(entry) == package:
                    load(group, entry.name)


def check_listed(group: str, name: str, packages: Iterable[str], where: str) -> None:
    """UserError where a plug-in's name is used and its package is not listed: the corpus would not say what it was made with."""
    package = provider(group, name)
    listed = {normalised(p) for p in packages}
    if package is not None and package not in listed:
        both = ", ".join(sorted({*listed, package}))
        raise UserError(f"{where}: {name!r} comes from the plug-in {package}, which is not listed; add plugins: [{both}]")


@functools.cache
def fingerprint(name: str) -> str:
    """Version and code of a plug-in: "1.2.0 0a1b2c3d4e5f"; "absent" where it is not installed. Two machines with the same text
    run the same code, also where somebody edits a package without a new version."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(_code(normalised(name))):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return f"{version} {digest.hexdigest()}"


def _code(package: str) -> Iterator[Path]:
    """The Python files of the modules that its entry points name."""
    from importlib.util import find_spec

    modules = {e.module.partition(".")[0] for group in GROUPS for e in _entry_points(group).values() if _package(e) == package}
    for module in sorted(modules):
        spec = find_spec(module)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield from Path(folder).rglob("*.py")
        if spec and not spec.submodule_search_locations and spec.origin:
            yield Path(spec.origin)
