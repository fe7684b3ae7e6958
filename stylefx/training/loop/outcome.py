"""What came of a step: its loss terms, which a device hands over when it has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylefx.corpus.batch import Batch

if TYPE_CHECKING:
    from stylefx.training.processes.distributed import Rank

TERMS = ("loss", "mr_stft", "l1", "gradient_norm")


def reads_late(place: Rank) -> bool:
    """Whether a step's terms are read when the next step has been queued, so that a CUDA device goes on meanwhile. Several
    ranks have to agree on every step before they make it."""
    return place.device.type == "cuda" and place.world == 1


class Outcome:
    """The terms (4,) of a step over ``batches``. From CUDA they are copied behind the step's own work; to read them waits for
    that copy, not for what was queued after it."""

    def __init__(self, terms: Tensor, batches: list[Batch]):
        self.batches = batches
        self._copied: torch.cuda.Event | None = None
        self._terms = terms
        if terms.is_cuda:
            self._terms = torch.empty(terms.shape, dtype=terms.dtype, pin_memory=True)
            self._terms.copy_(terms, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(terms.device))

    def values(self) -> dict[str, float]:
        if self._copied is not None:
            self._copied.synchronize()
        return dict(zip(TERMS, self._terms.tolist(), strict=True))

    def is_finite(self) -> bool:
        return all(map(math.isfinite, self.values().values()))
