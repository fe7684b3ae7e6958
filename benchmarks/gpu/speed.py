"""Chain and loss beside the peers at several batch sizes: milliseconds and memory, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from benchmarks.gpu.clock import Taken, compare, forget
from benchmarks.gpu.journal import Journal, Row
from benchmarks.gradient_peers import PEERS, draw, gradients
from stylefx.differentiable.losses import MultiResolutionSTFTLoss

OURS = "stylefx"
LARGEST = {"torchlpc + torchcomp": 16, "per-item loop": 64}  # batches beyond would take minutes


def chains(journal: Journal, device: torch.device, batches: list[int], samples: int, rounds: int) -> None:
    """Equaliser and compressor."""
    for batch in batches:
        audio, values = draw(batch, samples, str(device))
        upstream = torch.randn_like(audio)
        calls: dict[str, Callable[[], object]] = {
            name: partial(gradients, run, audio, values, upstream)
            for name, run in PEERS.items()
            if batch <= LARGEST.get(name, batch)
        }
        if device.type == "cuda":
            try:
                calls["stylefx, CUDA graph"] = graph_of(partial(gradients, PEERS[OURS], audio, values, upstream))
            except Exception as error:
                journal.failed(f"CUDA graph of the chain, batch {batch}", error)
        _report(journal, "chain", batch, compare(calls, device, rounds, partial(_failed, journal, f"chain, {batch}")))
        del calls, audio, values, upstream
        forget(device)


def losses(journal: Journal, device: torch.device, batches: list[int], samples: int, rounds: int) -> None:
    """Multi-resolution spectral loss."""
    from benchmarks.loss_speed import peer, signals, step

    for batch in batches:
        output, target = signals(batch, samples, str(device))
        calls: dict[str, Callable[[], object]] = {OURS: partial(step, MultiResolutionSTFTLoss().to(device), output, target)}
        calls["auraloss"] = partial(step, peer(device=str(device)), output, target)
        if device.type == "cuda":
            try:
                calls["stylefx, CUDA graph"] = graph_of(calls[OURS])
            except Exception as error:
                journal.failed(f"CUDA graph of the loss, batch {batch}", error)
        _report(journal, "spectral loss", batch, compare(calls, device, rounds, partial(_failed, journal, f"loss, {batch}")))
        del calls, output, target
        forget(device)


def graph_of(call: Callable[[], object]) -> Callable[[], object]:
    """``call`` captured: proof that nothing in it waits for the host, and its time without launches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def _failed(journal: Journal, where: str, name: str, error: BaseException) -> str:
    return journal.failed(f"{where}, {name}", error)


def _report(journal: Journal, table: str, batch: int, taken: dict[str, Taken]) -> None:
    ours = taken[OURS].ms
    for name, found in taken.items():
        row: Row = {"batch": batch, "who": name, "ms": found.ms, "x ours": found.ms / ours, "MiB": found.mib}
        journal.add(table, row if not found.failed else {"batch": batch, "who": name, "note": found.failed})
