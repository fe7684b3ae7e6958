"""Where the reference of a style comes from: the sample's own other half, or other content that got the same treatment."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from stylefx.keyed import Draw
from stylefx.recipes.chains import Strict


class ReferenceRule(Strict):
    """``from`` same: halves of one recording, which teaches to match its balance; other: a sample of another group with the
    same settings, which teaches what was done to it; both: ``share`` of the samples have a reference of other content.
    ``match`` says what the other content has in common with the sample.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    content: Literal["same", "other", "both"] = Field("same", alias="from")
    share: float = Field(0.5, ge=0.0, le=1.0, description="with from: both, the samples that have a reference of other content")
    match: Literal["source+label", "label", "any"] = Field("label", description="what the other content shares with the sample")

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data = handler(self)
        name = "content" if "content" in data else "from"  # by alias, as JSON Schema asks for defaults
        return {"from": data.pop(name), **data}

    @property
    def other_share(self) -> float:
        """Share of the samples whose reference is other content."""
        return {"same": 0.0, "other": 1.0, "both": self.share}[self.content]

    def kind(self, source: str, label: str | None) -> str:
        """Samples of equal kinds may lend one another a reference."""
        return {"source+label": f"{source}\n{label or ''}", "label": label or "", "any": ""}[self.match]


class References(ReferenceRule):
    """The rule of a corpus that stores its references: KEY.r0, KEY.r1, ..., as many in every sample."""

    count: int = Field(1, ge=1, le=8, description="references of other content per sample")

    @property
    def stored(self) -> int:
        """How many reference members every sample has."""
        return self.count if self.other_share else 0


class Partners:
    """Samples by kind and group, from which one of another group is drawn: every group as often, then every sample of it."""

    def __init__(self, kinds: Sequence[Hashable], groups: Sequence[str]):
        found: dict[Hashable, dict[str, list[int]]] = {}
        for number, (kind, group) in enumerate(zip(kinds, groups, strict=True)):
            found.setdefault(kind, {}).setdefault(group, []).append(number)
        self._members = {kind: [by_group[g] for g in sorted(by_group)] for kind, by_group in found.items()}
        self._places = {kind: {g: i for i, g in enumerate(sorted(by_group))} for kind, by_group in found.items()}

    def choose(self, draw: Draw, kind: Hashable, group: str) -> int | None:
        """The number of a sample of the kind and of another group; None where there is none."""
        members, own = self._members.get(kind, []), self._places.get(kind, {}).get(group)
        count = len(members) - (own is not None)
        if not count:
            return None
        at = draw.integer(0, count - 1)
        if own is not None and at >= own:
            at += 1
        return draw.choice(members[at])
