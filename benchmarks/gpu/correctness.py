"""The tests marked ``gpu``, and every kernel and effect against the CPU in float64: values and gradients."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.exactness_torch import _draw, scales
from benchmarks.gpu.journal import Journal
from stylefx.differentiable import DifferentiableChain
from stylefx.differentiable.losses import MultiResolutionSTFTLoss
from stylefx.differentiable.operators.biquads import biquads
from stylefx.differentiable.operators.dynamics import dynamics, smooth_reduction
from stylefx.differentiable.operators.frequency import fft_length, filter_spectrum
from stylefx.differentiable.operators.sections import digital_coefficients, warped_sections
from stylefx.effects.chain import EffectChain
from tests.support.effect_cases import VARIANTS, make
from tests.support.plain_cpu import plain_cpu
from tests.support.twin_references import relative, worst_item

ROOT = Path(__file__).parents[2]
RATE = 24000
OUTCOMES = ("PASSED", "FAILED", "SKIPPED", "ERROR")


def start_tests(journal: Journal, only: str = "") -> subprocess.Popen:
    """The tests marked ``gpu``, each file in a process, beside what the caller does: no clock runs meanwhile. What they print
    goes to gpu-tests.log."""
    holding = [str(f) for f in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in f.read_text(encoding="utf-8")]
    options = [*holding, "-m", "gpu", "-p", "no:cacheprovider", "-vv", "--continue-on-collection-errors", "--tb=long", "-rA"]
    options += ["--timeout", "150", "--durations", "15", "--disable-warnings"]
    options += ["-k", only] if only else []
    if importlib.util.find_spec("xdist") is not None:
        options += ["-n", str(len(holding)), "--dist", "loadfile"]
    log, place = (journal.out / "gpu-tests.log").open("w"), os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "3"}
    pipes: dict = {"stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True}
    return subprocess.Popen([sys.executable, "-m", "pytest", *options], cwd=ROOT, env=place, **pipes)


def finish_tests(journal: Journal, running: subprocess.Popen, limit_s: float) -> None:
    try:
        running.wait(timeout=max(limit_s, 1.0))
    except subprocess.TimeoutExpired:
        journal.say(f"tests marked gpu: ended after {limit_s:.0f} s more")
        os.killpg(running.pid, signal.SIGKILL)  # its workers too: what follows is timed
        running.wait()
    lines = (journal.out / "gpu-tests.log").read_text(errors="replace").strip().splitlines()
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            journal.say(line)
    counts = {name: sum(f" {name}" in line for line in lines if "::" in line and "%]" in line) for name in OUTCOMES}
    journal.add("tests marked gpu", {"exit": running.returncode, **counts, "last line": lines[-1][:200] if lines else ""})


def gradients(call: Callable[..., Tensor], inputs: Sequence[Tensor], upstream: Tensor) -> list[Tensor]:
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    out = call(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


def operators(items: int, samples: int) -> dict[str, tuple[Callable[..., Tensor], list[Tensor], torch.dtype]]:
    """Per operator: how to call it, its inputs in float64 (the first one audio), and the precision the device gets audio in."""
    generator = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    single, double = torch.float32, torch.float64
    envelope = torch.rand(items, 1, samples // 512 + 1, generator=generator).square().repeat_interleave(512, -1)[..., :samples]
    audio = (0.3 * noise(items, 2, samples) * envelope).float().double()  # the same numbers in both precisions
    gain, cutoff, q = (
        12 * noise(items, 6).clamp(-2, 2),
        60 * 2 ** (7 * noise(items, 6).sigmoid()),
        noise(items, 6),
    )
    sections = warped_sections("peak", gain, cutoff.double(), q.abs() + 0.4, RATE)
    law = torch.tensor([-32.0, 0.75, 6.0, torch.inf, 0.02, 0.0008, 3.0], dtype=double).repeat(items, 1)
    law[1::2] = torch.tensor([-28.0, 3.0, 12.0, 40.0, 0.004, 0.08, 0.0], dtype=double)
    reduction = (noise(items, samples).cumsum(-1) / 20).clamp(min=0.0)
    rise, fall = torch.linspace(0.5, 0.005, items, dtype=double), torch.linspace(0.002, 0.2, items, dtype=double)
    target, loss = (0.3 * noise(items, 2, samples)).float().double(), MultiResolutionSTFTLoss(reduction="none")

    def compared(x: Tensor) -> Tensor:
        return loss.to(x.device)(x, target.to(x.device, x.dtype))

    length = fft_length(2 * samples)
    return {
        "smoother": (lambda r, a, b: smooth_reduction(r, a, b, 1.0), [reduction, rise, fall], double),
        "dynamics, compressor": (lambda x, w: dynamics(x, w, 1.0), [audio, law], single),
        "dynamics, expander": (lambda x, w: dynamics(x, w, -1.0), [audio, law], single),
        "dynamics, float64": (lambda x, w: dynamics(x, w, 1.0), [audio, law], double),
        "recursive sections": (biquads, [audio, digital_coefficients(sections)], single),
        "sections by FFT": (lambda x, s: filter_spectrum(x, s, length), [audio, sections], single),
        "sections by FFT, float64": (lambda x, s: filter_spectrum(x, s, length), [audio, sections], double),
        "spectral loss": (compared, [audio], single),
    }


@plain_cpu()
def kernels(journal: Journal, device: torch.device, items: int, samples: int) -> None:
    """Every operator at the length of a training item; relative RMS errors, of the worst item."""
    for name, (call, inputs, dtype) in operators(items, samples).items():
        try:
            with torch.no_grad():
                shape = call(*inputs)
            upstream = torch.randn(shape.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64).float().double()
            truth = gradients(call, inputs, upstream)
            there = [t.to(device, dtype if i == 0 else torch.float64) for i, t in enumerate(inputs)]
            ours = [t.cpu() for t in gradients(call, there, upstream.to(device, dtype))]
            numbers = [worst_item(a, b) for a, b in zip(ours, truth, strict=True)]
            row = {"output": numbers[0], "gradient of audio": numbers[1]}
            journal.add("kernels", {"operator": name, **row, "of the others": max(numbers[2:], default=float("nan"))})
        except Exception as error:
            journal.failed(f"kernels, {name}", error)


@plain_cpu()
def palette(journal: Journal, device: torch.device, draws: int, samples: int, only: str = "") -> None:
    """Every effect with settings over its ranges; the CPU's float64 as truth. A parameter's gradient is that of its control,
    in units of what is usual for it (``benchmarks.exactness_torch.scales``)."""
    for variant in VARIANTS:
        if only and variant[0] not in only.split(","):
            continue
        if journal.left() < 60:
            journal.say("the rest of the palette is left out: no time")
            return
        title = variant[0] + (f" {variant[1]}" if variant[1] else "")
        try:
            effect = make(variant)
            audio, upstream, values, slopes = _draw(effect, draws, samples, 0)
            chain = DifferentiableChain(EffectChain.of(effect))

            def call(x: Tensor, v: Tensor, chain: DifferentiableChain = chain, names: list = effect.parameters) -> Tensor:
                return chain.render(x, [{p.name: row for p, row in zip(names, v, strict=True)}], RATE, in_range=True)

            truth = gradients(call, [audio.double(), values], upstream.double())
            ours = [t.cpu() for t in gradients(call, [audio.to(device), values.to(device)], upstream.to(device))]
            size = (audio.double().norm(dim=(1, 2)) * upstream.double().norm(dim=(1, 2)))[None]
            heard = truth[1].flatten(1).norm(dim=1) > 0
            worst = ((ours[2] - truth[2]) * slopes).abs() / scales(truth[2] * slopes, size)
            row = {"output": worst_item(ours[0], truth[0]), "gradient of audio": worst_item(ours[1][heard], truth[1][heard])}
            overall = relative(ours[2] * slopes, truth[2] * slopes)
            journal.add("palette", {"effect": title, **row, "parameters": overall, "worst parameter": worst.max().item()})
        except Exception as error:
            journal.failed(f"palette, {title}", error)
