"""The option ``--shards i/n``: a share of the work of an array of jobs."""

from __future__ import annotations

import re
from typing import Any

import click


class ShareType(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """``i/n`` with 0 <= i < n."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", str(value))
        if not match or not int(match[1]) < int(match[2]):
            self.fail(f"{value!r} is not a share; write i/n with i from 0 to n - 1, such as 0/4", param, ctx)
        return int(match[1]), int(match[2])
