"""A small model with settings that differ from recording to recording, signals that resemble recordings, and the command."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from stylefx.cli import cli
from stylefx.command_line import run
from stylefx.effects.presets import deepafx_st_chain
from stylefx.models.checkpoint import save_model
from stylefx.models.style_transfer import build_model

MODEL_RATE = 24000.0


def speech_like(seconds: float, sample_rate: int, seed: int = 0, channels: int = 1, pitch_hz: float = 140.0) -> np.ndarray:
    """Harmonics and noise under a syllable envelope, peak -6 dBFS; float32 (channels, samples)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    tone = sum(
        np.sin(2 * np.pi * k * pitch_hz * t + rng.uniform(0, 6)) / k for k in range(1, 20) if k * pitch_hz < sample_rate / 2
    )
    envelope = np.clip(np.sin(2 * np.pi * 2.3 * t + seed) + 0.3 * np.sin(2 * np.pi * 0.4 * t), 0, None) ** 1.5
    mono = envelope * (tone + 0.2 * rng.standard_normal(t.size))
    audio = np.stack([mono * (1.0 if c == 0 else 0.7) + 0.02 * rng.standard_normal(t.size) * envelope for c in range(channels)])
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def write(path, audio: np.ndarray, sample_rate: int, subtype: str = "FLOAT"):
    soundfile.write(path, audio.T, sample_rate, subtype=subtype)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A tiny model whose controller answers to its embeddings; a bias makes it compress and tilt."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    model = build_model({"encoder": {"name": "tiny"}, "chain": deepafx_st_chain().to_dict(), "sample_rate": MODEL_RATE})
    with torch.no_grad():
        model.controller.last.weight.mul_(60)
        model.controller.last.bias[19] += 1.5  # ratio
    return save_model(model, tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def command(capsys):
    """Run ``stylefx ARGS`` in this process: (exit status, stdout, stderr)."""

    def call(*args) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            run(cli, [str(a) for a in args])
        out = capsys.readouterr()
        return end.value.code, out.out, out.err

    return call
