"""Where recordings come from: the manifest's ``sources``."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipelines.manifest_chains import Model

_RULES = ("parent", "regex", "column", "constant")


class Rule(Model):
    """Derives a group (or a label) from a recording: exactly one of parent, regex, column, constant."""

    parent: int | None = Field(None, ge=1, le=32, description="name of the n-th folder above the file")
    regex: str | None = Field(None, description="searched in the relative path; its groups, joined by '-', are the value")
    column: str | None = Field(None, description="column of the file list")
    constant: str | None = None
    names: dict[str, str] = Field(default_factory=dict, description="renames values")
    otherwise: str | None = Field(None, description="value where nothing matches; without it such recordings are left out")
    scope: str | None = Field(None, description="prefix of the group; default: the source's name; equal scopes share groups")

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                compiled = re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is not a regular expression: {error}") from error
            if compiled.groups == 0:
                raise ValueError(f"{value!r} has no (group); put the wanted part in parentheses")
        return value

    @model_validator(mode="after")
    def _one(self) -> Rule:
        given = [r for r in _RULES if getattr(self, r) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_RULES)}; got {', '.join(given) or 'none'}")
        return self


class Columns(Model):
    """Names of the columns of a file list (CSV or JSONL)."""

    path: str = "path"
    licence: str | None = None
    attribution: str | None = None


def without_credentials(value: str) -> str:
    """Refuse user:password@ in an address: it would end in catalogs, plans and messages."""
    if re.search(r"://[^/]*@", value):
        raise ValueError("the address carries credentials; put them into the environment instead")
    return value


class Source(Model):
    """A folder, a file list (.csv, .tsv, .jsonl), an archive (.tar, .tar.gz, .zip; WebDataset tars too) or a URL of these."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    path: str = Field(description="folder, list, archive, glob or URL; relative to the current folder")
    include: tuple[str, ...] = Field(("**",), description="globs on the relative path; audio files only in any case")
    exclude: tuple[str, ...] = ()
    group: Rule = Rule(parent=1)
    label: Rule | None = None
    columns: Columns = Columns()
    root: str | None = Field(None, description="what a file list's paths are relative to; default: the list's folder")
    licence: str = "unknown"
    attribution: str = ""
    weight: float = Field(1.0, gt=0.0)
    split: Literal["train", "val", "test"] | None = Field(None, description="puts the whole source into one split")
    url: str | None = Field(None, description="where people find the data; for the corpus' card")

    @field_validator("path", "root", "url")
    @classmethod
    def _no_credentials(cls, value: str | None) -> str | None:
        return value if value is None else without_credentials(value)
