"""Compile the kernels before work is timed or spread: once per machine, the cache keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylefx.effects.registry import effect_names, make_effect


def warm_up(effects: Sequence[str] | None = None) -> None:
    """Run every kernel of the named effects (all when None) on a few samples of mono and stereo."""
    rng = np.random.default_rng(0)
    for name in effect_names() if effects is None else effects:
        effect = make_effect(name)
        # Not the defaults: neutral sections are left out and would not be compiled.
        settings = {p.name: p.from_control(0.25) for p in effect.parameters}
        for channels in (1, 2):
            effect.render(rng.standard_normal((channels, 64)).astype(np.float32), settings, 44100)
