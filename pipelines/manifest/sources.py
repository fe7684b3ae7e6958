"""Where recordings come from: the manifest's ``sources``."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.manifest.select import parse_selection
from stylefx.recipes.chains import Strict

#: fields that came later: a source that does not use them is written and digested as before they were there
_LATER = ("kind", "select")
_LATER_COLUMNS = ("target", "start", "end", "duration", "metadata")

_RULES = ("parent", "regex", "column", "constant")


class Rule(Strict):
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


class Columns(Strict):
    """Names of the columns of a list, or of the fields of a WebDataset's JSON."""

    path: str = "path"
    licence: str | None = None
    attribution: str | None = None
    target: str | None = Field(None, description="the same recording after somebody's work: real pairs, nothing is rendered")
    start: str | None = Field(None, description="where in the file the recording begins, s")
    end: str | None = Field(None, description="where it ends, s")
    duration: str | None = Field(None, description="how long it is, s, where no end is given")
    metadata: tuple[str, ...] | Literal["all"] = Field("all", description="columns that follow a recording into its samples")


def without_credentials(value: str) -> str:
    """Refuse user:password@ in an address: it would end in catalogs, plans and messages."""
    if re.search(r"://[^/]*@", value):
        raise ValueError("the address carries credentials; put them into the environment instead")
    return value


class Source(Strict):
    """A folder, a list (.csv, .tsv, .jsonl, .parquet, wav.scp, .m3u; NeMo's, lhotse's), an archive (.tar, .tar.gz, .zip;
    WebDataset tars too), a Parquet table with audio in its rows, or a URL of these; or what a plug-in reads, where ``kind``
    names it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    path: str = Field(description="folder, list, archive, glob or URL; relative to the current folder; ~ and $VAR are replaced")
    include: tuple[str, ...] = Field(("**",), description="globs on the relative path; audio files only in any case")
    exclude: tuple[str, ...] = ()
    select: str | None = Field(None, description="which recordings, by their columns: language == 'de' and year >= 2000")
    group: Rule = Rule(parent=1)
    label: Rule | None = None
    columns: Columns = Columns()
    root: str | None = Field(None, description="what a file list's paths are relative to; default: the list's folder")
    licence: str = "unknown"
    attribution: str = ""
    weight: float = Field(1.0, gt=0.0)
    split: Literal["train", "val", "test"] | None = Field(None, description="puts the whole source into one split")
    url: str | None = Field(None, description="where people find the data; for the corpus' card")
    kind: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9_-]*$", description="a plug-in's kind of source; path is then whatever it takes"
    )

    @field_validator("path", "root", "url")
    @classmethod
    def _no_credentials(cls, value: str | None) -> str | None:
        return value if value is None else without_credentials(value)

    @field_validator("select")
    @classmethod
    def _understood(cls, value: str | None) -> str | None:
        if value is not None:
            parse_selection(value)
        return value

    def to_dict(self) -> dict[str, Any]:
        """Plain data, complete with defaults but for fields that came later and are not used."""
        data: dict[str, Any] = json.loads(self.model_dump_json())
        for model, kept, names in ((self, data, _LATER), (self.columns, data["columns"], _LATER_COLUMNS)):
            for name in names:
                if getattr(model, name) == type(model).model_fields[name].default:
                    del kept[name]
        return data
