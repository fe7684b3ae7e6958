"""Which group a recording belongs to: what must never straddle two splits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from pipelines.manifest.sources import Rule, Source
from pipelines.sources.uris import split_member, split_stretch

_DEFAULT = Rule(parent=1)


def group_of(source: Source, path: str, columns: Mapping[str, str]) -> tuple[str, bool]:
    """(group, whether the recording is one of its own); "" where the source's rule gives none.

    Where the rule is the folder above, what lies directly in the source has none: such a recording is a group of its own,
    called by its name without ending, so that the same recording in two formats is one group.
    """
    group, alone = rule_value(source.group, path, columns), False
    if group is None and source.group.model_copy(update={"scope": None}) == _DEFAULT:
        group, alone = PurePosixPath(path).stem, True
    return (f"{source.group.scope or source.name}/{group}" if group is not None else ""), alone


def rule_value(rule: Rule, path: str, columns: Mapping[str, str]) -> str | None:
    """The value that a rule gives for a relative path, or None where nothing matches."""
    value: str | None = None
    if rule.constant is not None:
        value = rule.constant
    elif rule.column is not None:
        value = columns.get(rule.column) or None
    elif rule.regex is not None:
        match = re.search(rule.regex, path)
        if match:
            value = "-".join(g for g in match.groups() if g) or None
    elif rule.parent is not None:
        archive, member = split_member(split_stretch(path)[0])
        parents = PurePosixPath(archive, member).parts[:-1]
        if len(parents) >= rule.parent:
            value = parents[-rule.parent]
    if value is None:
        return rule.otherwise
    return rule.names.get(value, value)
