"""Multi-resolution spectral loss, forward and backward, on the CPU: time, memory and error, ours beside auraloss.

    python -m benchmarks.loss_speed [--items 16] [--samples 131072] [--rounds 7] [--threads 2]

Six resolutions, FFT 32 to 32768, hop half, linear and log magnitude. Error: of value and gradient against auraloss in
float64.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import auraloss
import click
import torch
from torch import Tensor

from benchmarks.memory import growth_mib, in_fresh_process
from stylefx.differentiable.losses import FFT_SIZES, MultiResolutionSTFTLoss


def peer(dtype: torch.dtype = torch.float32, device: str = "cpu") -> torch.nn.Module:
    sizes, hops = list(FFT_SIZES), [s // 2 for s in FFT_SIZES]
    loss = auraloss.freq.MultiResolutionSTFTLoss(sizes, hops, sizes, w_sc=0, w_log_mag=1, w_lin_mag=1)
    for part in loss.stft_losses:
        part.window = torch.hann_window(part.fft_size, dtype=dtype, device=device)
    return loss


LOSSES: dict[str, Callable[[], torch.nn.Module]] = {"stylefx": MultiResolutionSTFTLoss, "auraloss": peer}


def signals(items: int, samples: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    pair = (0.1 * torch.randn(items, 1, samples, generator=generator) for _ in range(2))
    return tuple(s.to(device) for s in pair)


def step(loss: torch.nn.Module, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient."""
    output = output.detach().requires_grad_()
    value = loss(output, target)
    return value.detach(), torch.autograd.grad(value, output)[0]


def measure_memory(name: str, items: int, samples: int) -> float:
    """MiB of one forward and backward; run in a fresh process."""
    output, target = signals(items, samples)
    loss = LOSSES[name]()
    step(loss, output[:1, :, :40000].contiguous(), target[:1, :, :40000].contiguous())
    return growth_mib(lambda: step(loss, output, target))


@click.command()
@click.option("--items", default=16)
@click.option("--samples", default=131072)
@click.option("--rounds", default=7, help="at least 5 for figures worth quoting")
@click.option("--threads", default=2)
def main(items: int, samples: int, rounds: int, threads: int) -> None:
    torch.set_num_threads(threads)
    output, target = signals(items, samples)
    losses = {name: make() for name, make in LOSSES.items()}
    times: dict[str, list[float]] = {name: [] for name in losses}
    results = {}
    for turn in range(rounds + 1):
        for name, loss in losses.items():
            start = time.perf_counter()
            results[name] = step(loss, output, target)
            if turn > 0:
                times[name].append(time.perf_counter() - start)
    value, gradient = step(peer(torch.float64), output.double(), target.double())
    click.echo(
        f"{items} x {samples} float32, {threads} threads, {rounds} rounds; {platform.machine()}, torch {torch.__version__}\n"
    )
    click.echo("| loss | ms | x ours | MiB | error of the value | of the gradient |\n|---|---|---|---|---|---|")
    base = statistics.median(times["stylefx"])
    for name in losses:
        median = statistics.median(times[name])
        off, slope = abs(results[name][0] - value) / value, (results[name][1] - gradient).norm() / gradient.norm()
        mib = in_fresh_process("benchmarks.loss_speed", "measure_memory", name, items, samples, threads=threads)
        click.echo(f"| {name} | {median * 1e3:.0f} | {median / base:.1f} | {mib} | {off.item():.1e} | {slope.item():.1e} |")


if __name__ == "__main__":
    main()
