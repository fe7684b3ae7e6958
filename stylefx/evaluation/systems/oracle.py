"""The oracle: settings optimised per item by gradient with the true target. What the effects could do at best, nearly.

It is a bound in practice, not in theory: the problem is not convex, so two starts are made (neutral settings, and settings
with a compressor at work) and the best point on the way of either is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylefx.audio.distance import MR_STFT_SIZES
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.evaluation.pairs import Pair
from stylefx.evaluation.systems.base import ModelSystem, System, SystemOutput

LEARNING_RATE = 0.03
#: a start from which a compressor has a gradient: at ratio 1 its threshold and times have none
WORKING = {"threshold_db": -35.0, "ratio": 3.0, "attack_ms": 5.0, "release_ms": 100.0, "makeup_gain_db": 3.0}


class Oracle(System):
    """Adam on the controls, MR-STFT distance, ``steps`` steps from each start; items of a batch are independent."""

    name, title = "oracle", "oracle"

    def __init__(self, model: ModelSystem, steps: int):
        self.chain, self.steps = model.chain, steps

    def __call__(self, pairs: Sequence[Pair]) -> list[SystemOutput]:
        starts = [np.tile(start, (len(pairs), 1)) for start in (self.chain.default_controls, self._working())]
        audio, target = (np.stack([getattr(p, side) for p in pairs]) for side in ("input", "target"))
        found = [optimise(self.chain, audio, target, start, pairs[0].sample_rate, self.steps) for start in starts]
        best = np.argmin([loss for _, loss in found], axis=0)
        out = []
        for i, pair in enumerate(pairs):
            settings = self.chain.settings(found[best[i]][0][i])
            out.append(SystemOutput(self.chain.render(pair.input, settings, pair.sample_rate), settings))
        return out

    def _working(self) -> np.ndarray:
        values = [p.to_control(WORKING.get(p.name, p.default)) for p in self.chain.parameters]
        return np.array(values)


def optimise(
    chain: EffectChain, audio: np.ndarray, target: np.ndarray, start: np.ndarray, sample_rate: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent on controls. ``audio``, ``target`` (items, channels, samples), ``start`` (items, num_controls).

    Returns the best controls on the way, float64 (items, num_controls), and their distances (items,).
    """
    import torch

    from stylefx.differentiable import DifferentiableChain
    from stylefx.differentiable.losses import MultiResolutionSTFTLoss

    sizes = [size for size in MR_STFT_SIZES if audio.shape[-1] > size // 2]
    if not sizes:
        raise UserError(f"the oracle needs halves of more than {MR_STFT_SIZES[0] // 2} samples, got {audio.shape[-1]}")
    effects, distance = DifferentiableChain(chain), MultiResolutionSTFTLoss(sizes, reduction="none")
    x, y = torch.from_numpy(audio), torch.from_numpy(target)
    controls = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    best, best_loss = controls.detach().clone(), torch.full((len(audio),), torch.inf)
    optimiser = torch.optim.Adam([controls], lr=LEARNING_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=0.02 * LEARNING_RATE)
    for step in range(steps + 1):
        loss = distance(effects(x, controls, sample_rate), y)
        better = loss.detach() < best_loss
        best[better], best_loss[better] = controls.detach()[better], loss.detach()[better].float()
        if step == steps:
            break
        optimiser.zero_grad()
        loss.sum().backward()
        assert controls.grad is not None
        controls.grad.nan_to_num_(0.0, 0.0, 0.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            controls.clamp_(0.0, 1.0)
    return best.double().numpy(), best_loss.double().numpy()
