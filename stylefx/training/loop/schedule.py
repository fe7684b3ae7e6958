"""Learning rate as a pure function of the step."""

from __future__ import annotations

import math

from stylefx.training.config import OptimiserConfig


def learning_rate(step: int, steps: int, optimiser: OptimiserConfig) -> float:
    """The rate of step 0..steps-1."""
    rate = optimiser.learning_rate
    if step < optimiser.warmup_steps:
        return rate * (step + 1) / optimiser.warmup_steps
    if optimiser.schedule == "constant":
        return rate
    if optimiser.schedule == "cosine":
        done = (step - optimiser.warmup_steps) / max(steps - optimiser.warmup_steps, 1)
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
    return rate * (1.0 if step < 0.8 * steps else 0.1 if step < 0.95 * steps else 0.01)
