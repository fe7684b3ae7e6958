"""What is drawn when training renders its own examples: the paper's recipe, keyed by (seed, epoch, sample key).

The same joint draws as a corpus of the preset `deepafx-st`, without that corpus' augmentation (which the dry halves carry).
"""

from __future__ import annotations

from stylefx.effects.joint_draws import JOINT_DRAWS
from stylefx.effects.registry import make_effect
from stylefx.keyed import Draw

#: branch -> (effect, joint draw, probability) in order; a peak normalisation follows every effect
RECIPE = {
    "input": (("parametric_eq", "deepafx-st-eq", 0.75), ("expander", "deepafx-st-expander", 0.1)),
    "target": (("parametric_eq", "deepafx-st-eq", 0.75), ("compressor", "deepafx-st-compressor", 0.75)),
}


def draw_settings(seed: int, epoch: int, key: str, branch: str, sample_rate: float) -> list[dict[str, float] | None]:
    """Complete settings per effect of a branch, None where the effect is left out this time."""
    identity, out = f"{epoch}/{key}", []
    for effect, joint, probability in RECIPE[branch]:
        purpose = f"online {branch} {effect}"
        if not Draw(seed, f"{purpose} applied", identity).chance(probability):
            out.append(None)
            continue

        def quantity(name: str, purpose: str = purpose) -> Draw:
            return Draw(seed, f"{purpose} {name}", identity)

        drawn = JOINT_DRAWS[joint].draw(quantity, int(sample_rate))
        out.append(make_effect(effect).complete(drawn))
    return out
