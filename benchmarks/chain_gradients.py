"""Equaliser and compressor, forward and backward, on the CPU: time, memory and errors, ours beside three peers.

    python -m benchmarks.chain_gradients [--items 16] [--samples 131072] [--rounds 7] [--threads 2]

Time: medians of rounds in which every peer runs once. Memory: growth of the peak resident set over one forward and
backward, each peer in a process of its own. Errors: against a sample loop in float64 and autograd through it, on shorter
signals; "one time constant" has release = attack, which is all that some peers can do.
"""

from __future__ import annotations

import platform
import statistics
import time

import click
import torch

from benchmarks.gradient_peers import BANDS, PEERS, RATE, draw, gradients
from benchmarks.memory import growth_mib, in_fresh_process
from tests.support.twin_references import eq_sections, loop_dynamics, loop_filter, relative, worst_parameter

ERROR_ITEMS, ERROR_SAMPLES = 8, 3000


def reference(audio, values, rate):
    return loop_dynamics(loop_filter(audio.double(), eq_sections(BANDS, values, rate)), values, rate)


def errors(name: str, one_time_constant: bool) -> tuple[float, float, float]:
    """Of the output in dB, and relative, of the gradients of the audio and of the worst parameter."""
    audio, values = draw(ERROR_ITEMS, ERROR_SAMPLES, seed=5, one_time_constant=one_time_constant)
    upstream = torch.randn(audio.shape, generator=torch.Generator().manual_seed(1))
    truth = gradients(reference, audio.double(), values, upstream.double())
    ours = gradients(PEERS[name], audio, values, upstream)
    decibels = 20 * torch.log10(torch.tensor(relative(ours[0], truth[0]))).item()
    return decibels, relative(ours[1], truth[1]), worst_parameter(ours[2:], truth[2:])


def measure_memory(name: str, items: int, samples: int) -> float:
    """MiB of one forward and backward; run in a fresh process."""
    audio, values = draw(items, samples)
    upstream = torch.randn(audio.shape)
    gradients(PEERS[name], audio[:2, :, :4096].contiguous(), {k: v[:2] for k, v in values.items()}, upstream[:2, :, :4096])
    return growth_mib(lambda: gradients(PEERS[name], audio, values, upstream))


@click.command()
@click.option("--items", default=16)
@click.option("--samples", default=131072)
@click.option("--rounds", default=7, help="at least 5 for figures worth quoting")
@click.option("--threads", default=2)
def main(items: int, samples: int, rounds: int, threads: int) -> None:
    torch.set_num_threads(threads)
    audio, values = draw(items, samples)
    upstream = torch.randn(audio.shape)
    times: dict[str, list[float]] = {name: [] for name in PEERS}
    for turn in range(rounds + 1):
        for name, peer in PEERS.items():
            start = time.perf_counter()
            gradients(peer, audio, values, upstream)
            if turn > 0:  # the first compiles and warms up
                times[name].append(time.perf_counter() - start)
    machine = f"{platform.machine()}, torch {torch.__version__}"
    click.echo(f"{items} x {samples} float32, {RATE} Hz, {threads} threads, {rounds} rounds; {machine}")
    click.echo(f"errors on {ERROR_ITEMS} x {ERROR_SAMPLES}, relative to float64: general / one time constant\n")
    click.echo("| chain | ms | x ours | MiB | output dB | gradient of audio | worst parameter |\n|---|---|---|---|---|---|---|")
    base = statistics.median(times["stylefx"])
    for name in PEERS:
        median = statistics.median(times[name])
        general, single = errors(name, False), errors(name, True)
        accuracy = f"{general[0]:.0f} / {single[0]:.0f} | {general[1]:.1e} / {single[1]:.1e} | {general[2]:.1e} / {single[2]:.1e}"
        mib = in_fresh_process("benchmarks.chain_gradients", "measure_memory", name, items, samples, threads=threads)
        click.echo(f"| {name} | {median * 1e3:.0f} | {median / base:.1f} | {mib} | {accuracy} |")


if __name__ == "__main__":
    main()
