"""SPSA: the gradient of any render from two extra renders along a random direction.

Spall 1992, "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation", equation 2.2:
for a direction of independent signs, g_i = (f(c + e d) - f(c - e d)) / (2 e d_i). Controls live in [0, 1], so at a bound the
perturbed point is clipped; the difference quotient then divides by the distance that was really walked, which keeps the mean
of the estimate right there (dividing by 2 e would halve it).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.keyed import Draw
from stylefx.strategies.base import Strategy
from stylefx.strategies.black_box import BlackBox, make_black_box, render_batch


class _SpsaFunction(torch.autograd.Function):
    """Forward: the render. Backward to the controls: the mean over directions of the SPSA estimate."""

    @staticmethod
    def forward(
        ctx: Any,
        audio: Tensor,
        controls: Tensor,
        directions: Tensor,
        epsilon: float,
        render_all: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        ctx.save_for_backward(audio, controls, directions)
        ctx.epsilon, ctx.render_all = epsilon, render_all
        return render_all(audio, controls)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.needs_input_grad[0]:
            raise RuntimeError("SPSA defines a gradient to the controls, not to the audio; detach the audio")
        audio, controls, directions = ctx.saved_tensors
        base = controls.detach().double()
        gradient = torch.zeros_like(base)
        for direction in directions:  # (batch, P) of signs
            up = (base + ctx.epsilon * direction).clamp(0.0, 1.0)
            down = (base - ctx.epsilon * direction).clamp(0.0, 1.0)
            difference = (ctx.render_all(audio, up) - ctx.render_all(audio, down)).double()
            slope = (upstream.double() * difference).sum(dim=(1, 2))
            gradient += slope[:, None] / (up - down)
        return None, (gradient / len(directions)).to(controls.dtype), None, None, None


class Spsa(Strategy):
    """Options: ``epsilon`` (in control units), ``epsilon_end`` with ``epsilon_steps`` (a geometric schedule),
    ``directions`` per step, ``seed``, ``render`` ("numpy" or "pedalboard"), ``threads``.

    Directions are keyed by (seed, step), and the step is part of the state dict: a resumed run draws what it would have drawn.
    """

    name = "spsa"
    step: Tensor

    def __init__(
        self,
        chain: EffectChain,
        sample_rate: float,
        epsilon: float = 5e-4,
        epsilon_end: float | None = None,
        epsilon_steps: int = 10_000,
        directions: int = 1,
        seed: int = 0,
        render: str = "numpy",
        threads: int | None = None,
    ):
        super().__init__(chain, sample_rate)
        if not 0.0 < epsilon <= 0.25 or (epsilon_end is not None and not 0.0 < epsilon_end <= 0.25):
            raise UserError(f"spsa: epsilon is {epsilon} and epsilon_end {epsilon_end}; give numbers in (0, 0.25]")
        if directions < 1 or epsilon_steps < 1:
            raise UserError(f"spsa: directions is {directions} and epsilon_steps {epsilon_steps}; give at least 1")
        self._options: dict[str, Any] = {
            "epsilon": epsilon,
            "epsilon_end": epsilon_end,
            "epsilon_steps": epsilon_steps,
            "directions": directions,
            "seed": seed,
            "render": render,
            "threads": threads,
        }
        self.black_box: BlackBox = make_black_box(render, chain)
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def options(self) -> dict[str, Any]:
        return dict(self._options)

    def epsilon(self) -> float:
        """The perturbation at the present step."""
        start, end = self._options["epsilon"], self._options["epsilon_end"]
        if end is None:
            return start
        share = min(int(self.step) / self._options["epsilon_steps"], 1.0)
        return start * math.exp(share * math.log(end / start))

    def _directions(self, shape: torch.Size, device: torch.device) -> Tensor:
        """Signs, float64 (directions, batch, P)."""
        count = self._options["directions"] * shape[0] * shape[1]
        words = Draw(self._options["seed"], "spsa-direction", str(int(self.step))).words(-(-count // 64))
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")[:count]
        signs = torch.from_numpy(bits.astype(np.float64) * 2.0 - 1.0)
        return signs.reshape(self._options["directions"], *shape).to(device)

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        def render_all(waves: Tensor, knobs: Tensor) -> Tensor:
            return render_batch(self.black_box, waves, knobs, sample_rate, self._pool)

        if not (torch.is_grad_enabled() and controls.requires_grad):
            return render_all(audio, controls)
        directions = self._directions(controls.shape, controls.device)
        output = _SpsaFunction.apply(audio, controls, directions, self.epsilon(), render_all)  # type: ignore[no-untyped-call]
        if self.training:
            self.step += 1
        return output
