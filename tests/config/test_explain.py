"""Pydantic's errors in one sentence: what, where, and what was probably meant."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from stylefx.config.explain import validate
from stylefx.config.overrides import apply_overrides
from stylefx.config.read import parse_yaml
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Cut(_Part):
    kind: Literal["cut"]
    length_s: float = Field(gt=0)


class _Fade(_Part):
    kind: Literal["fade"]
    shape: str = "cosine"


class _Root(_Part):
    name: str
    count: int = 1
    steps: list[Annotated[_Cut | _Fade, Field(discriminator="kind")]] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: a", r"f: name is missing; unknown key nmae \(line 1\); did you mean 'name'\?"),
        ("name: a\ncount: x", r"f: count \(line 2\): input should be a valid integer.*, got 'x'"),
        (
            "name: a\nsteps:\n- {kind: cut, length_s: 1}\n- {kind: cut, lenght_s: 1}",
            r"steps.1.length_s \(line 4\) is missing; unknown key steps.1.lenght_s \(line 4\); did",
        ),
        ("name: a\nsteps:\n- {kind: fade, shap: x}", r"unknown key steps.0.shap \(line 3\); did you mean 'shape'\?"),
        ("name: a\nzzz: 1", r"unknown key zzz \(line 2\); known there: count, name, steps"),
        ("name: a\nsteps: [{kind: cut, length_s: -1}]", r"steps.0.length_s \(line 2\): input should be greater than 0, got -1"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_near_miss(text, message):
    data, node = parse_yaml(text, "f")
    with pytest.raises(UserError, match=message):
        validate(_Root, data, "f", node)


def test_each_mistake_is_laid_at_the_door_of_who_made_it():
    data, node = parse_yaml("name: a\nzzz: 1", "f")
    applied = apply_overrides(data, ["count=x"])
    with pytest.raises(UserError) as refused:
        validate(_Root, data, "f", node, applied)
    assert str(refused.value) == (
        "on the command line: count: input should be a valid integer, unable to parse string as an integer, got 'x'; "
        "f: unknown key zzz (line 2); known there: count, name, steps"
    )


def test_many_mistakes_are_counted():
    with pytest.raises(UserError, match=r"; and 3 more$"):
        validate(_Root, {"name": "a", **{f"bad{i}": 1 for i in range(8)}}, "f")


def test_a_near_miss_is_offered_and_anything_else_what_there_is():
    assert did_you_mean("treshold", ["threshold", "ratio"], "it has both") == "; did you mean 'threshold'?"
    assert did_you_mean("q", ["threshold", "ratio"], "it has both") == "; it has both"
    assert did_you_mean(3, {"threshold": 1}) == ""
