"""Bounds that physics sets, as opposed to the ranges of the controls."""

from __future__ import annotations

from collections.abc import Mapping

from stylefx.errors import UserError


def require_positive(effect: str, settings: Mapping[str, float], *names: str) -> None:
    """UserError unless every named value is > 0."""
    for name in names:
        if not settings[name] > 0:
            raise UserError(f"{effect}: {name} is {settings[name]:g}; it must be greater than 0")


def require_at_least(effect: str, settings: Mapping[str, float], minimum: float, *names: str) -> None:
    """UserError unless every named value is >= minimum."""
    for name in names:
        if not settings[name] >= minimum:
            raise UserError(f"{effect}: {name} is {settings[name]:g}; it must be at least {minimum:g}")


def require_within(effect: str, settings: Mapping[str, float], minimum: float, maximum: float, *names: str) -> None:
    """UserError unless every named value is in [minimum, maximum]."""
    for name in names:
        if not minimum <= settings[name] <= maximum:
            raise UserError(f"{effect}: {name} is {settings[name]:g}; it must be between {minimum:g} and {maximum:g}")
