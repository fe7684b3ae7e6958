"""The last tenths of a decibel of an equaliser's curve: damped least squares on the exact response, without gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_STEP = 1e-3  # of the differences that make the Jacobian, in logits
_DAMPING, _LESS, _MORE = 0.1, 0.3, 4.0
_HOLD = 1e-2  # keeps controls that hardly matter where they are
_FURTHEST = 4.0  # logit: a control of 0.018 or 0.982


@torch.no_grad()
def polished(response: Callable[[Tensor], Tensor], wanted: Tensor, logits: Tensor, steps: int) -> Tensor:
    """Logits (batch, controls) moved by ``steps`` steps of Levenberg and Marquardt, so that the response, its mean aside, comes
    closer to ``wanted`` (batch, points) dB; never further. Every item on its own, in double precision."""

    wanted = wanted.double() - wanted.double().mean(-1, keepdim=True)
    here, controls = logits.double().clamp(-_FURTHEST, _FURTHEST), logits.shape[1]

    def residual(at: Tensor) -> Tensor:  # (batch, n, controls) -> (batch, n, points)
        made = response(torch.sigmoid(at).flatten(0, 1)).unflatten(0, at.shape[:2])
        return wanted[:, None] - (made - made.mean(-1, keepdim=True))

    unit = torch.eye(controls, dtype=torch.float64, device=here.device)

    def step(here: Tensor, missing: Tensor, damping: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        slopes = (missing[:, None] - residual(here[:, None] + _STEP * unit)) / _STEP  # (batch, controls, points)
        gram = slopes @ slopes.mT
        diagonal = torch.diag_embed(gram.diagonal(dim1=1, dim2=2))
        damped = gram + damping * diagonal + _HOLD * unit
        move = torch.linalg.solve(damped, slopes @ missing[..., None])[..., 0]
        there = (here + move).clamp(-_FURTHEST, _FURTHEST)
        after = residual(there[:, None])[:, 0]
        better = after.square().sum(-1) < missing.square().sum(-1)
        here, missing = torch.where(better[:, None], there, here), torch.where(better[:, None], after, missing)
        return here, missing, damping * torch.where(better, _LESS, _MORE)[:, None, None]

    state = (here, residual(here[:, None])[:, 0], torch.full_like(here[:, :1, None], _DAMPING))
    if torch.compiler.is_exporting():  # one step in the graph, however many there are
        from torch._higher_order_ops.scan import scan

        state, _ = scan(lambda state, i: (tuple(step(*state)), i + 0), state, torch.arange(steps))
    else:
        for _ in range(steps):
            state = step(*state)
    return state[0].to(logits.dtype)
