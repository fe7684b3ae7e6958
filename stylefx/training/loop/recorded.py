"""Forward and backward of a batch as one CUDA graph: a thousand launches that the host makes once, not in every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Pass = Callable[[dict[str, Tensor]], Tensor]  # forward and backward: gradients are added up, loss terms returned
_WARM = 3  # passes before the recording, as torch asks for: what is tuned and allocated on first use is outside of it


@dataclass
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: dict[str, Tensor]
    terms: Tensor
    gradients: list[Tensor | None]


class RecordedPass:
    """A ``Pass`` that is recorded for each shape of batch and replayed. What it writes lies where the recording wrote it: the
    terms are to be read before the next call. A pass reads nothing back from the device, and does the same every time.
    """

    def __init__(self, plain: Pass, model: nn.Module, parameters: Sequence[nn.Parameter]):
        self.plain, self.model, self.parameters = plain, model, parameters
        self._recordings: dict[tuple[tuple[str, torch.Size], ...], _Recording] = {}

    def __call__(self, audio: dict[str, Tensor]) -> Tensor:
        key = tuple((name, tensor.shape) for name, tensor in audio.items())
        # The replay writes where it always wrote, also if the sums of earlier passes lie there.
        earlier = [None if p.grad is None else p.grad.clone() for p in self.parameters]
        if key not in self._recordings:
            self._recordings[key] = self._record(audio)
        found = self._recordings[key]
        for name, tensor in audio.items():
            found.inputs[name].copy_(tensor, non_blocking=True)
        found.graph.replay()
        for p, before, now in zip(self.parameters, earlier, found.gradients, strict=True):
            p.grad = before if now is None else now if before is None else now.add_(before)
        return found.terms

    def _record(self, audio: dict[str, Tensor]) -> _Recording:
        """Nothing but the recording comes of it: statistics of batches and random numbers are put back."""
        inputs = {name: tensor.clone() for name, tensor in audio.items()}
        buffers = [(b, b.clone()) for b in self.model.buffers()]
        device = inputs["input"].device
        drawn = torch.cuda.get_rng_state(device)
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM):
                self._forget()
                self.plain(inputs)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._forget()
        graph = torch.cuda.CUDAGraph()
        # Other threads pin memory and copy the next batch meanwhile: only this thread's calls are recorded, or refused.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            terms = self.plain(inputs)
        gradients = [p.grad for p in self.parameters]
        self._forget()
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        torch.cuda.set_rng_state(drawn, device)
        return _Recording(graph, inputs, terms, gradients)

    def _forget(self) -> None:
        for p in self.parameters:
            p.grad = None
