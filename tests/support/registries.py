"""Effects that a test registers are gone after it: others ask what effects there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def forget_new_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is registered from now on is so until the monkeypatch is undone."""
    from stylefx.differentiable import registry as twins
    from stylefx.effects import registry as effects

    effects.effect_names()
    twins.twin_names()
    monkeypatch.setattr(effects, "_EFFECTS", dict(effects._EFFECTS))
    monkeypatch.setattr(twins, "_TWINS", dict(twins._TWINS))
