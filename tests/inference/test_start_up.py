"""What a transfer loads before it begins: nothing that takes seconds and serves other purposes."""

from __future__ import annotations

import subprocess
import sys

from tests.inference.conftest import write
from tests.support.programme import speech_like

HEAVY = ("torch._dynamo", "torch._inductor", "sympy", "matplotlib", "scipy.signal", "scipy.optimize", "ray")


def test_a_loaded_model_has_imported_no_compiler_and_no_plotting():
    program = (
        "import sys; from stylefx.inference.transfer import StyleTransfer; StyleTransfer()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_transfer_of_wav_without_tags_looks_into_no_library_of_tags(tmp_path):
    files = [write(tmp_path / f"{name}.wav", speech_like(24000, 24000), 24000) for name in ("in", "ref")]
    program = (
        "import sys; from stylefx.inference.transfer import StyleTransfer\n"
        f"StyleTransfer().transfer({str(files[0])!r}, {str(files[1])!r}, {str(tmp_path / 'out.wav')!r})\n"
        f"print([name for name in {(*HEAVY, 'mutagen')!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
