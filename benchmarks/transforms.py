"""Real Fourier transforms in float32 beside one another, on the vocoder's sizes, one thread.

    python -m benchmarks.transforms

CPU milliseconds for 64 windows, forward and inverse, the least of 15: ours (16 windows side by side), SciPy's pocketfft, NumPy's,
and what torch brings (MKL on x86), where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np
import scipy.fft

from benchmarks.cpu_time import least_ms
from stylefx.audio.fft import irfft_rows, rfft_rows

WINDOWS = 64
SIZES = (256, 2304, 4320)  # onsets; frames at 24 kHz and at 44.1 kHz


def calls(size: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """{library: (forward, inverse)} over the same windows."""
    windows = np.random.default_rng(0).standard_normal((WINDOWS, 1, size)).astype(np.float32)
    spectra = scipy.fft.rfft(windows)
    found = {
        "stylefx": (lambda: rfft_rows(windows), lambda: irfft_rows(spectra, size)),
        "scipy": (lambda: scipy.fft.rfft(windows), lambda: scipy.fft.irfft(spectra, n=size)),
        "numpy": (lambda: np.fft.rfft(windows), lambda: np.fft.irfft(spectra, n=size)),
    }
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(1)
    x, y = torch.from_numpy(windows), torch.from_numpy(spectra)
    return found | {"torch": (lambda: torch.fft.rfft(x), lambda: torch.fft.irfft(y, n=size))}


@click.command(help=__doc__.splitlines()[0])
def main() -> None:
    click.echo("| size | library | forward ms | inverse ms |\n|---|---|---:|---:|")
    for size in SIZES:
        for name, (forward, inverse) in calls(size).items():
            click.echo(f"| {size} | {name} | {least_ms(forward):.3f} | {least_ms(inverse):.3f} |")


if __name__ == "__main__":
    main()
