"""The GPU kernels are valid for real GPUs: compiled to machine code by Triton and its ptxas, which need no GPU."""

import subprocess
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed: pip install triton")

import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

from stylefx.differentiable.operators.gpu import dynamics, recursions, spectra

CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
KERNELS = {
    f"{module.__name__}.{name}" for module in (dynamics, recursions, spectra) for name in vars(module) if name.endswith("_kernel")
}


class Architecture:
    """Stands for a driver: tells Triton what to compile for."""

    def __init__(self, capability: int):
        self.capability = capability

    def get_current_device(self) -> int:
        return self.capability  # compiled kernels are kept per device

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """Name of a kernel -> what its launches were compiled into; a launch compiles for the arguments it is given and runs
    nothing."""
    made: dict[str, list] = {}

    def launcher(kernel, grid):
        def launch(*arguments, **options):
            result = kernel.run(*arguments, grid=grid, warmup=True, **options)
            made.setdefault(f"{kernel.fn.__module__}.{kernel.fn.__name__}", []).append(result)

        return launch

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(JITFunction, "__getitem__", launcher)
    return made


def launch_recursions(items: int, channels: int, samples: int) -> None:
    rows, item = torch.zeros(items, samples).double(), torch.zeros(items).double()
    recursions.branching_smoother(rows, item, item)
    recursions.smoother_adjoint(rows, item, item, rows, rows, True)
    recursions.section(rows[:, None].expand(-1, channels, -1), torch.ones(items, 5).double())


def launch_dynamics(items: int, channels: int, samples: int, dtype: torch.dtype) -> None:
    audio, law = torch.zeros(items, channels, samples, dtype=dtype), torch.ones(items, 7).double()
    _, reduction, smooth = dynamics.dynamics(audio, law, -1.0)
    dynamics.dynamics_adjoint(audio, law, reduction, smooth, audio, 1.0)


def launch_spectra(items: int, channels: int, bins: int, dtype: torch.dtype, sides: int) -> None:
    spectrum = torch.zeros(items, channels, bins, dtype=dtype.to_complex())
    sections, angles = torch.zeros(items, 6, 6, dtype=dtype), torch.zeros(bins, dtype=dtype)
    spectra.apply_response(spectrum, sections, angles, angles)
    spectra.response_adjoint(spectrum, spectrum.clone(), sections, angles, angles, 2 * bins - 2)
    spectra.distances(spectrum, spectrum.clone(), 1.0, 1.0, 1e-8, sides)


@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION is unset")  # fused multiply-adds are what we want
@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_compile_for_sm80_and_sm90(monkeypatch, tmp_path, compiled, capability):
    """With the arguments that the launchers pass: short and long, odd and even, single and double precision. No kernel keeps
    registers in memory."""
    monkeypatch.setattr(driver, "_active", Architecture(capability))
    launch_recursions(2, 2, 131072)
    launch_recursions(1, 1, 1)
    launch_dynamics(2, 2, 131072, torch.float32)
    launch_dynamics(1, 1, 1, torch.float64)
    launch_spectra(2, 2, 65537, torch.float32, 1)
    launch_spectra(1, 1, 17, torch.float64, 2)
    assert set(compiled) == KERNELS
    for name, results in compiled.items():
        for result in results:
            assert f".target sm_{capability}" in result.asm["ptx"]
            path = tmp_path / "kernel.cubin"
            path.write_bytes(result.asm["cubin"])
            usage = subprocess.run([CUOBJDUMP, "-res-usage", path], capture_output=True, text=True, check=True).stdout
            assert "STACK:0" in usage, f"{name} spills registers: {usage}"
            assert "LOCAL:0" in usage, f"{name} spills registers: {usage}"
