"""The GPU kernels, on the GPU where there is one, else step by step in Triton's interpreter: in a process of its own, as the
interpreter is chosen when Triton is first imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CASES = Path(__file__).parents[2] / "support" / "triton_cases.py"


def test_kernels_equal_the_plain_forms():
    pytest.importorskip("triton", reason="Triton is not installed: pip install triton")
    environment = os.environ | ({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})
    command = [sys.executable, "-m", "pytest", str(CASES), "-p", "no:cacheprovider", "-p", "no:xdist"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, cwd=CASES.parents[2])
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-1000:]


def test_nothing_needs_triton():
    """The package imports and works without it, and does not load it on the CPU."""
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch\n"
        "from stylefx.differentiable import DifferentiableChain\n"
        "from stylefx.differentiable.losses import StyleTransferLoss\n"
        "from stylefx.effects.presets import deepafx_st_chain\n"
        "chain = DifferentiableChain(deepafx_st_chain())\n"
        "audio = torch.ones(1, 1, 20000, requires_grad=True)\n"
        "out = chain(audio, torch.full((1, 24), 0.5), 24000)\n"
        "StyleTransferLoss()(out, torch.zeros_like(out)).backward()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert run.returncode == 0, run.stderr[-2000:]
