"""``import stylefx``: light, complete, and one order of axes for audio."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import stylefx
from stylefx.audio.quantise import as_samples
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError

HEAVY = ("numpy", "torch", "pyarrow", "pipelines", "numba", "multiprocessing")


def test_the_import_loads_nothing_heavy():
    code = f"import sys, stylefx; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_in_the_stub():
    from pathlib import Path

    stub = (Path(stylefx.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    for name in stylefx._PUBLIC:
        assert getattr(stylefx, name).__name__ == name
        assert f"import {name} as {name}\n" in stub
    assert stylefx.EffectChain is EffectChain
    with pytest.raises(AttributeError, match="it has build_corpus"):
        stylefx.bild_corpus  # noqa: B018


@pytest.mark.parametrize("shape", [(1_323_000, 2), (48000, 1), (64, 2), (200, 300)])
def test_interleaved_audio_is_refused_in_a_sentence(shape):
    chain = EffectChain.of(stylefx.make_effect("gain"))
    audio = np.zeros(shape, np.float32)
    for refuse in (
        lambda: chain.render(audio, None, 44100),
        lambda: chain.start(None, 44100, 2)(audio),
        lambda: as_samples(audio),
    ):
        with pytest.raises(UserError, match=r"the order of the axes is \(channels, samples\), so pass the transpose"):
            refuse()


def test_gradients_refuse_interleaved_audio_too():
    import torch

    from stylefx.differentiable import DifferentiableChain

    chain = DifferentiableChain(EffectChain.of(stylefx.make_effect("gain")))
    with pytest.raises(UserError, match="pass the transpose"):
        chain(torch.zeros(1, 44100, 2), torch.zeros(1, 1), 44100)


@pytest.mark.parametrize("shape", [(1, 0), (2, 1), (16, 3), (64, 64), (2, 48000)])
def test_short_blocks_and_many_channels_pass(shape):
    audio = np.zeros(shape, np.float32)
    assert EffectChain.of(stylefx.make_effect("gain")).render(audio, None, 44100).shape == shape
