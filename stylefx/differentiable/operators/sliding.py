"""The largest value of a sliding window, with the gradient to where it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def sliding_maximum(values: Tensor, window: Tensor | int) -> Tensor:
    """max(values[n - window + 1 .. n]); values (items, n), nothing before the start; window an integer or int64 (items,).

    Maxima over powers of two, each from two of the one before; two of them cover any window. The gradient goes to the
    sample that is the maximum, the later one of two that are equal.
    """
    with torch.no_grad():
        if not isinstance(window, Tensor):  # filled there: a copy from the host would make it wait for the device
            window = torch.full(values.shape[:1], window, device=values.device)
        places = _places(values, window)
    return values.gather(-1, places)


def _places(values: Tensor, window: Tensor) -> Tensor:
    """Where in values the maximum of each window is, int64 (items, n)."""
    samples = values.shape[-1]
    now = torch.arange(samples, device=values.device).expand_as(values)
    window = window.clamp(min=1, max=samples)[:, None]
    best, place = values, now
    chosen_best, chosen_place, covered = best, place, torch.ones_like(window)
    reach = 1
    while 2 * reach <= samples:
        best, place = _later_of(best, place, reach)
        reach *= 2
        fits = window >= reach
        chosen_best, chosen_place = torch.where(fits, best, chosen_best), torch.where(fits, place, chosen_place)
        covered = torch.where(fits, reach, covered)
    # The window is covered by the last ``covered`` samples and as many before its start.
    start = now - (window - covered)
    early_best = torch.where(start >= 0, chosen_best.gather(-1, start.clamp(min=0)), -torch.inf)
    return torch.where(early_best > chosen_best, chosen_place.gather(-1, start.clamp(min=0)), chosen_place)


def _later_of(best: Tensor, place: Tensor, shift: int) -> tuple[Tensor, Tensor]:
    """The larger of best[n] and best[n - shift], and where it was."""
    earlier = pad(best[..., :-shift], (shift, 0), value=-torch.inf)
    earlier_place = pad(place[..., :-shift], (shift, 0))
    return torch.maximum(best, earlier), torch.where(earlier > best, earlier_place, place)
