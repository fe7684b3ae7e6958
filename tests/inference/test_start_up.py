"""What a transfer loads before it begins: nothing that takes seconds and serves other purposes."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch._dynamo", "torch._inductor", "sympy", "matplotlib", "scipy.signal", "scipy.optimize", "ray")


def test_a_loaded_model_has_imported_no_compiler_and_no_plotting():
    program = (
        "import sys; from stylefx.inference.transfer import StyleTransfer; StyleTransfer()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
