"""Chains that have a name."""

from __future__ import annotations

from stylefx.effects.chain import EffectChain
from stylefx.effects.palette.compressor import Compressor
from stylefx.effects.palette.parametric_eq import ParametricEq


def deepafx_st_chain(ranges: str = "deepafx-st") -> EffectChain:
    """Six-band equaliser and compressor, 24 controls (Steinmetz, Bryan, Reiss, JAES 70(9), 2022)."""
    return EffectChain.of(ParametricEq(ranges=ranges), Compressor())
