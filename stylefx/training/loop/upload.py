"""Batches that are copied to a CUDA device on a stream of their own, while the batch before is computed with."""

from __future__ import annotations

import torch
from torch import Tensor

from stylefx.corpus.batch import Batch
from stylefx.training.loop.step import to_device


class Uploads:
    """``start`` a batch's copy from any thread, ``take`` its tensors where they are computed with; a batch that was not
    started is copied then. Readers fill pinned memory, so that a copy holds up neither the host nor the computing stream."""

    def __init__(self, device: torch.device):
        self.device, self._stream = device, torch.cuda.Stream(device)
        self._started: dict[int, tuple[Batch, dict[str, Tensor], torch.cuda.Event]] = {}

    def start(self, batch: Batch) -> None:
        with torch.cuda.device(self.device), torch.cuda.stream(self._stream):
            tensors = to_device(batch, self.device)
            self._started[id(batch)] = batch, tensors, self._stream.record_event()

    def take(self, batch: Batch) -> dict[str, Tensor]:
        """The "input", "target" and "reference" as far as the batch has them, as ``to_device`` gives them."""
        found = self._started.pop(id(batch), None)
        if found is None:
            return to_device(batch, self.device)
        _, tensors, copied = found
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(copied)
        for tensor in tensors.values():
            tensor.record_stream(computing)  # its memory is the copying stream's, and not free again before this one is done
        return tensors
