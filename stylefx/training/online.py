"""Training examples from dry halves: settings drawn anew in every epoch, rendered by the differentiable effects on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stylefx.differentiable import DifferentiableChain
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.training.online_recipe import RECIPE, draw_settings

_PEAK = 10 ** (-12 / 20)
_FADE_S = 0.05


def normalise_peak(audio: Tensor, halves: int) -> Tensor:
    """(batch, channels, samples) to a peak of -12 dBFS; silence stays.

    With ``halves`` 2 the second half of the batch belongs to the first: both halves of a recording get one gain.
    """
    peak = audio.abs().amax(dim=(1, 2)).unflatten(0, (halves, -1)).amax(dim=0).repeat(halves)
    return audio * (_PEAK / peak.clamp_min(1e-5))[:, None, None]


class OnlineRenderer:
    """Dry halves -> input, target and reference, (batch, channels, samples) each.

    The half to be processed and the reference half get the same target settings, each rendered from silence.
    """

    def __init__(self, seed: int, sample_rate: float):
        self.seed, self.sample_rate = seed, sample_rate
        self._effects = {
            branch: [DifferentiableChain(EffectChain.of(make_effect(effect))) for effect, _, _ in steps]
            for branch, steps in RECIPE.items()
        }

    @torch.no_grad()
    def __call__(self, dry: Tensor, dry_reference: Tensor, keys: Sequence[str], epochs: Sequence[int]) -> dict[str, Tensor]:
        items = [*zip(epochs, keys, strict=True)]
        target, reference = self._branch(torch.cat([dry, dry_reference]), "target", items, 2).chunk(2)
        return {"input": self._branch(dry, "input", items, 1), "target": target, "reference": reference}

    def _branch(self, audio: Tensor, branch: str, items: Sequence[tuple[int, str]], halves: int) -> Tensor:
        """Render a branch; items that leave an effect out keep their audio."""
        drawn = [draw_settings(self.seed, epoch, key, branch, self.sample_rate) for epoch, key in items] * halves
        audio = normalise_peak(audio, halves)
        for number, effect in enumerate(self._effects[branch]):
            chosen = [i for i, settings in enumerate(drawn) if settings[number] is not None]
            if chosen:
                names = drawn[chosen[0]][number]
                values = {n: torch.tensor([drawn[i][number][n] for i in chosen], dtype=torch.float64) for n in names}
                values = {n: v.to(audio.device) for n, v in values.items()}
                wet = effect.render(audio[chosen], [values], self.sample_rate)
                audio = audio.index_copy(0, torch.tensor(chosen, device=audio.device), wet)
            audio = normalise_peak(audio, halves)
        return normalise_peak(self._faded(audio), halves)

    def _faded(self, audio: Tensor) -> Tensor:
        """Raised-cosine ends of 50 ms."""
        n = min(round(_FADE_S * self.sample_rate), audio.shape[-1] // 2)
        ramp = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(n, device=audio.device, dtype=audio.dtype) + 0.5) / n)
        shape = torch.ones(audio.shape[-1], device=audio.device, dtype=audio.dtype)
        shape[:n], shape[-n:] = ramp, ramp.flip(0)
        return audio * shape
