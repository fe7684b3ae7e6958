"""Chain and loss on a CUDA GPU at several batch sizes, ours beside the peers: time, memory, errors, graph and compile.

    python -m tests.benchmarks.gpu_effects [--batches 16,64,256] [--samples 131072] [--rounds 7] [--profile FILE]

Times by CUDA events around a synchronised step, medians of rounds in which every peer runs once. Errors against a sample
loop in float64 on the CPU.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import click
import torch

from stylefx.differentiable.losses import MultiResolutionSTFTLoss
from stylefx.errors import UserError
from tests.benchmarks.chain_gradients import ERROR_ITEMS, ERROR_SAMPLES, reference
from tests.benchmarks.gradient_peers import PEERS, draw, gradients
from tests.benchmarks.loss_speed import peer, signals, step
from tests.differentiable.reference import relative, worst_parameter


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds and the peak of allocated MiB."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end), (torch.cuda.max_memory_allocated() - before) / 2**20


def compare(title: str, calls: dict[str, Callable[[], object]], rounds: int) -> None:
    """One table: every call once per round; a call that fails is listed with its error's name."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    failed: dict[str, str] = {}
    for turn in range(rounds + 2):
        for name, call in calls.items():
            if name in failed:
                continue
            try:
                result = timed(call)
            except Exception as error:  # a peer that cannot run here must not end the comparison
                failed[name] = type(error).__name__
                continue
            if turn > 1:  # the first rounds compile and warm up
                times[name].append(result)
    click.echo(f"\n{title}\n\n| | ms | x ours | MiB |\n|---|---|---|---|")
    base = statistics.median(t for t, _ in times["stylefx"]) if times["stylefx"] else float("nan")
    for name in calls:
        if name in failed:
            click.echo(f"| {name} | {failed[name]} | | |")
            continue
        median = statistics.median(t for t, _ in times[name])
        click.echo(f"| {name} | {median:.2f} | {median / base:.1f} | {max(m for _, m in times[name]):.0f} |")


def report_errors() -> None:
    audio, values = draw(ERROR_ITEMS, ERROR_SAMPLES, seed=5)
    upstream = torch.randn(audio.shape, generator=torch.Generator().manual_seed(1))
    truth = gradients(reference, audio.double(), values, upstream.double())
    on_device = audio.cuda(), {k: v.cuda() for k, v in values.items()}, upstream.cuda()
    click.echo("\n| chain | output | gradient of audio | worst parameter |\n|---|---|---|---|")
    for name, run in PEERS.items():
        try:
            ours = [t.cpu() for t in gradients(run, *on_device)]
        except Exception as error:
            click.echo(f"| {name} | {type(error).__name__} | | |")
            continue
        numbers = relative(ours[0], truth[0]), relative(ours[1], truth[1]), worst_parameter(ours[2:], truth[2:])
        click.echo(f"| {name} | " + " | ".join(f"{n:.1e}" for n in numbers) + " |")


def graph_of(audio, values, upstream) -> Callable[[], object]:
    """Our step captured in a CUDA graph: proof that nothing in it waits for the host."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            gradients(PEERS["stylefx"], audio, values, upstream)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradients(PEERS["stylefx"], audio, values, upstream)
    return graph.replay


@click.command()
@click.option("--batches", default="16,64,256", help="batch sizes, separated by commas")
@click.option("--samples", default=131072)
@click.option("--rounds", default=7)
@click.option("--profile", default="", help="write a trace of one of our steps to this file")
def main(batches: str, samples: int, rounds: int, profile: str) -> None:
    if not torch.cuda.is_available():
        raise UserError("this benchmark needs a CUDA GPU and torch sees none; run it on a machine that has one")
    click.echo(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {samples} samples")
    report_errors()
    for batch in (int(b) for b in batches.split(",")):
        audio, values = draw(batch, samples, "cuda")
        upstream = torch.randn_like(audio)
        calls = {name: partial(gradients, run, audio, values, upstream) for name, run in PEERS.items()}
        try:
            calls["stylefx, CUDA graph"] = graph_of(audio, values, upstream)
        except RuntimeError as error:
            click.echo(f"no CUDA graph: {error}")
        compare(f"equaliser + compressor, forward + backward, batch {batch}", calls, rounds)
        output, target = signals(batch, samples, "cuda")
        losses = {"stylefx": MultiResolutionSTFTLoss().cuda(), "auraloss": peer(device="cuda")}
        compare(f"spectral loss, batch {batch}", {n: partial(step, f, output, target) for n, f in losses.items()}, rounds)
    if profile:
        with torch.profiler.profile() as trace:
            gradients(PEERS["stylefx"], audio, values, upstream)
            torch.cuda.synchronize()
        trace.export_chrome_trace(profile)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except UserError as error:
        raise SystemExit(str(error)) from None
