"""Recursions over time in plain torch, for devices that have no compiled loop: parallel scans in float64.

Nothing here reads a value back from the device. Devices without float64 (Apple's MPS) compute in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

POLICY_CAP = 24  # scans; 20 was the most that 250 random cases of 131072 samples needed
TIE = {torch.float64: 1e-10, torch.float32: 1e-5}  # r and y that differ by less, relative to the larger, agree
_CHUNK = 512
_SECTION_CHUNK = 64  # a power of two


def state_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def linear_scan(a: Tensor, b: Tensor) -> Tensor:
    """y[n] = a[n] y[n-1] + b[n] with y[-1] = 0 along the last dimension; a, b (..., samples)."""
    samples = a.shape[-1]
    if samples <= _CHUNK:
        return _doubling_scan(a, b)[1]
    chunks = (samples + _CHUNK - 1) // _CHUNK
    fill = chunks * _CHUNK - samples
    shape = (*a.shape[:-1], chunks, _CHUNK)
    products, local = _doubling_scan(pad(a, (0, fill)).reshape(shape), pad(b, (0, fill)).reshape(shape))
    carry = linear_scan(products[..., -1], local[..., -1])
    entering = pad(carry[..., :-1], (1, 0))
    return (local + products * entering[..., None]).flatten(-2)[..., :samples]


def _doubling_scan(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Inclusive scan of the affine maps y -> a y + b in log2(samples) steps (Hillis and Steele, 1986)."""
    shift = 1
    while shift < a.shape[-1]:
        b = torch.cat([b[..., :shift], b[..., shift:] + a[..., shift:] * b[..., :-shift]], -1)
        a = torch.cat([a[..., :shift], a[..., shift:] * a[..., :-shift]], -1)
        shift *= 2
    return a, b


def branching_smoother(reduction: Tensor, rise: Tensor, fall: Tensor, cap: int = POLICY_CAP) -> tuple[Tensor, Tensor]:
    """y[n] = y[n-1] + k (r[n] - y[n-1]), k = rise where r[n] > y[n-1], else fall; reduction (items, n), rise and fall (items, 1).

    Policy iteration: guess the branches, solve the linear recursion, look at the branches again. Each scan makes at least
    one more sample final, in practice almost all. Returns y and, per item, whether its branches still changed in the last of
    ``cap`` scans, so that y is not final; both on the device.
    """
    # Where r and y agree to rounding, the slower branch: the faster one would forget what the true state still remembers.
    # Relative to both: a state on its way to 0 must not come to rest before.
    tie = torch.where(rise >= fall, TIE[reduction.dtype], -TIE[reduction.dtype])
    rising, y = _first_guess(reduction, rise, fall), reduction
    changed = torch.ones_like(rising)
    for _ in range(cap):
        keep = 1.0 - torch.where(rising, rise, fall)
        y = linear_scan(keep, (1.0 - keep) * reduction)  # not k, which keep has rounded: so the state rests where r does
        before = pad(y[..., :-1], (1, 0))
        update = reduction > before + tie * torch.maximum(reduction.abs(), before.abs())
        changed, rising = update != rising, update
    return y, changed.any(-1)


def _first_guess(reduction: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """Rising samples if the faster branch jumped at once and the slower one led to rest: those above a decaying maximum.

    Where falling is slower, above the decayed largest r so far; where rising is, the same of max(r) - r, upside down.
    """
    down = rise >= fall
    highest = reduction.amax(-1, keepdim=True)
    z = torch.where(down, reduction, highest - reduction)
    decay = torch.log1p(-torch.minimum(rise, fall).clamp(max=1.0 - 1e-6))
    floor = torch.finfo(z.dtype).tiny
    steps = torch.arange(z.shape[-1], dtype=z.dtype, device=z.device)
    lifted = torch.log(z.clamp(min=floor)) - steps * decay
    start = torch.log(torch.where(down, torch.zeros_like(highest), highest).clamp(min=floor)) + decay
    before = torch.cat([start, torch.maximum(lifted[..., :-1].cummax(-1).values, start)], -1)
    return (lifted > before) == down


def smoother_adjoint(upstream: Tensor, keep: Tensor) -> Tensor:
    """l[n] = u[n] + keep[n+1] l[n+1]; keep = 1 - k, both (items, n)."""
    later = pad(keep[..., 1:], (0, 1))
    return linear_scan(later.flip(-1), upstream.flip(-1)).flip(-1)


def section_state(coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A second-order section as a recursion of two values: s[n] = step s[n-1] + drive x[n], y[n] = b0 x[n] + look s[n-1].

    coefficients (items, 5) -> step (items, 2, 2), drive and look (items, 2). The state is that of the transposed direct
    form, as (s1 + s2, s2 sqrt(c)) with c = 1 + a1 + a2 = |1 - pole|^2, which no rounding touches where it is small: so
    ``step`` is nearly a rotation, whose powers grow no errors, where the companion matrix's do as 1 / c.
    """
    b0, b1, b2, a1, a2 = coefficients.unbind(-1)
    c = 1.0 + a1 + a2
    root = c.clamp(min=1e-30).sqrt()
    step = torch.stack([torch.stack([1.0 - c, root], -1), torch.stack([-a2 * root, a2], -1)], -2)
    drive = torch.stack([b0 + b1 + b2 - c * b0, (b2 - a2 * b0) * root], -1)
    return step, drive, torch.stack([torch.ones_like(root), -1.0 / root], -1)


def section(x: Tensor, coefficients: Tensor) -> Tensor:
    """y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2] along the last dimension, zero state;
    x (items, channels, n), coefficients (items, 5).

    Chunks are filtered from zero state by their impulse response, as one matrix product; what enters a chunk from the one
    before is a linear map of two values, scanned over the chunks.
    """
    samples, size = x.shape[-1], _SECTION_CHUNK
    chunks = (samples + size - 1) // size
    step, drive, look = section_state(coefficients)
    looks, drives = [look], [drive]  # after k samples: what the output sees of the state, and the state after an impulse
    for _ in range(size - 1):
        looks.append((looks[-1][:, None] @ step)[:, 0])
        drives.append((step @ drives[-1][..., None])[..., 0])
    seen = torch.stack(looks, 1)  # (items, size, 2)
    h = torch.cat([coefficients[:, :1], (seen[:, :-1] * drive[:, None]).sum(-1)], -1)  # impulse response (items, size)
    lags = torch.arange(size, device=x.device)
    lags = lags[:, None] - lags[None, :]
    toeplitz = torch.where(lags >= 0, h[:, lags.clamp(min=0)], 0.0)  # (items, size, size)
    blocks = pad(x, (0, chunks * size - samples)).unflatten(-1, (chunks, size))
    whole = step
    for _ in range(size.bit_length() - 1):  # to the power of size
        whole = whole @ whole
    state = _constant_scan(whole[:, None], blocks @ torch.stack(drives[::-1], 1)[:, None])
    entering = pad(state[..., :-1, :], (0, 0, 1, 0))
    y = blocks @ toeplitz.mT[:, None] + entering @ seen.mT[:, None]
    return y.flatten(-2)[..., :samples]


def _constant_scan(step: Tensor, b: Tensor) -> Tensor:
    """s[c] = step s[c-1] + b[c]; step (items, 1, 2, 2), b (items, channels, chunks, 2)."""
    shift = 1
    while shift < b.shape[-2]:
        b = torch.cat([b[..., :shift, :], b[..., shift:, :] + b[..., :-shift, :] @ step.mT], -2)
        step = step @ step
        shift *= 2
    return b
