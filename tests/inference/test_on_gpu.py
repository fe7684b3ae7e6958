"""A transfer whose model is on a CUDA device: the settings that it finds on the CPU."""

from __future__ import annotations

import pytest

from stylefx.inference.options import TransferOptions
from stylefx.inference.transfer import StyleTransfer
from stylefx.models.checkpoint import SHIPPED
from tests.inference.conftest import speech_like, write

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("shipped", [False, True])
@pytest.mark.parametrize("options", [{}, {"refine_steps": 2}, {"tone_weights": [1, 0], "dynamics_weights": [0, 1]}])
def test_settings_are_those_of_the_cpu(tmp_path, checkpoint, shipped, options):
    source = write(tmp_path / "in.wav", speech_like(6, 24000, seed=1), 24000)
    references = [write(tmp_path / f"{n}.wav", speech_like(6, 24000, seed=n, pitch_hz=90 + 40 * n), 24000) for n in (2, 3)]
    model = SHIPPED if shipped else checkpoint
    found = [
        StyleTransfer(model, device=device).settings(source, references, TransferOptions(**options)) for device in ("cpu", "cuda")
    ]
    if options.get("refine_steps"):  # Adam's first steps are as long for a gradient of 1e-9 as for one of 1: distances compare
        cpu, cuda = (style.about["refine"] for style in found)
        assert cuda["before"] == pytest.approx(cpu["before"], rel=0.02, abs=0.02)  # dB: TF32 moves curves of some dB by that
        assert cuda["after"] == pytest.approx(cpu["after"], rel=0.05, abs=0.05)
        return
    for cpu, cuda in zip(*(style.settings for style in found), strict=True):
        for name, value in cpu["settings"].items():
            assert cuda["settings"][name] == pytest.approx(value, rel=0.05, abs=0.2), name
