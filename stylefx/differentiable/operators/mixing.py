"""Dry and wet signal together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def blend(dry: Tensor, wet: Tensor, mix: Tensor) -> Tensor:
    """(1 - mix) dry + mix wet; signals (items, channels, n), mix (items,) in the state's precision: 1 - mix is taken there, as
    little may be left of it."""
    dry_gain, wet_gain = (m.to(dry.dtype)[:, None, None] for m in (1.0 - mix, mix))
    return dry * dry_gain + wet * wet_gain
