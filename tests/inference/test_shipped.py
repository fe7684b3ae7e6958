"""The model that comes with the package: found without a path, small, described, and worth using."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

import stylefx.models
from stylefx.effects.presets import deepafx_st_chain
from stylefx.evaluation.metrics.audio import measure
from stylefx.inference.options import TransferOptions
from stylefx.inference.settings_file import load_settings
from stylefx.inference.transfer import StyleTransfer
from stylefx.models.checkpoint import SHIPPED, load_model, read_card, shipped_names
from tests.inference.conftest import write
from tests.support.programme import music_like, speech_like

FOLDER = Path(stylefx.models.__file__).parent / "shipped"
RATE, FRAMES = 24000, 131072

STYLES = (  # (equaliser, compressor) of a target
    ({"high_shelf_gain_db": 15.0, "high_shelf_cutoff_hz": 5000.0, "low_shelf_gain_db": -10.0}, {}),
    ({"high_shelf_gain_db": -18.0, "high_shelf_cutoff_hz": 4500.0}, {"threshold_db": -45.0, "ratio": 5.0, "attack_ms": 2.0}),
    ({"band1_gain_db": -14.0, "band1_q": 0.7, "band3_gain_db": 10.0, "band3_q": 0.7}, {"threshold_db": -40.0, "ratio": 3.0}),
)


def to_peak(audio: np.ndarray, peak_dbfs: float = -12.0) -> np.ndarray:
    return (audio * (10 ** (peak_dbfs / 20) / np.abs(audio).max())).astype(np.float32)


def produced(audio: np.ndarray, style: tuple[dict, dict]) -> np.ndarray:
    chain = deepafx_st_chain()
    settings = chain.settings(chain.default_controls)
    for step, values in zip(settings, style, strict=True):
        step["settings"].update(values)
    return to_peak(chain.render(audio, settings, RATE))


def test_the_model_paper_brings_synthetic_recordings_nearer_to_a_production():
    """Input and reference are different signals; the true target is known. Fresh weights leave all of the distance."""
    model = load_model("paper")
    before, after = [], []
    for make in (speech_like, music_like):
        for number, style in enumerate(STYLES):
            source, other = (to_peak(make(FRAMES, RATE, seed=seed, channels=1)) for seed in (number, number + 10))
            target, reference = produced(source, style), produced(other, style)
            with torch.no_grad():
                output, _ = model(torch.from_numpy(source)[None], torch.from_numpy(reference)[None])
            before.append(measure(source, target, RATE)["mr_stft"])
            after.append(measure(output[0].numpy(), target, RATE)["mr_stft"])
    assert np.mean(after) < 0.75 * np.mean(before)


def test_transfer_needs_no_model_of_ones_own(command, tmp_path):
    source = write(tmp_path / "in.wav", speech_like(3 * RATE, RATE), RATE)
    reference = write(tmp_path / "ref.wav", produced(music_like(3 * RATE, RATE, channels=1), STYLES[0]), RATE)
    status, text, _ = command("transfer", source, reference, "-o", tmp_path / "out.wav")
    assert status == 0, text
    model = load_settings(tmp_path / "out.json").about["model"]
    assert model == {"checkpoint": SHIPPED, "sha256": read_card(SHIPPED)["sha256"]}


def test_the_shipped_models_are_small_and_described():
    names = [name for name in shipped_names() if name != SHIPPED]
    assert names
    for name in names:
        assert sum(file.stat().st_size for file in (FOLDER / name).iterdir()) < 10e6
        card = (FOLDER / name / "README.md").read_text()
        for word in ("GPL-2.0", "CC-BY-SA-3.0", "MR-STFT", "held-out", "Limits", read_card(name)["sha256"][:16]):
            assert word in card, (name, word)
        assert json.loads((FOLDER / name / "model.json").read_text())["segment_samples"] > 0


def test_a_transfer_makes_the_embedding_of_a_window_once(tmp_path, monkeypatch):
    source = write(tmp_path / "in.wav", speech_like(30 * RATE, RATE), RATE)
    reference = write(tmp_path / "ref.wav", produced(music_like(30 * RATE, RATE, channels=1), STYLES[0]), RATE)
    tool, embedded, found = StyleTransfer(), [], []
    embed, wanted = tool.model.embed, tool.model.controller.wanted
    monkeypatch.setattr(tool.model, "embed", lambda audio: embedded.append(len(audio)) or embed(audio))
    monkeypatch.setattr(tool.model.controller, "wanted", lambda *pair: found.append(len(pair[0])) or wanted(*pair))
    options = TransferOptions(tone_weights=(1, 0), dynamics_weights=(0, 1))
    heard, styles = tool.hear(source), [tool.reference(reference), tool.reference(source)]
    tool.settings_for(heard, styles, options)
    windows = [len(a.windows) for a in (heard, *styles)]
    assert sum(embedded) == sum(windows)
    tool.settings_for(heard, [tool.reference(reference)], TransferOptions())  # as of the next input of a folder
    assert sum(embedded) == sum(windows)
    assert found[-3:] == [1, windows[0], windows[1]]  # the pair, and what single windows of either side lead to


def test_controls_with_belief_are_those_without():
    model = load_model(SHIPPED)
    audio = torch.from_numpy(np.stack([to_peak(make(FRAMES, RATE, channels=1)) for make in (speech_like, music_like)]))
    with torch.inference_mode():
        one, other = model.embed(audio)[:, None]
        for intent in (None, *model.intents):
            controls, belief = model.controls_and_belief(one, other, intent)
            assert torch.equal(controls, model.controls(one, other, intent))
            curve, _ = model.controller.curve(one, other, torch.tensor([model.intents.index(intent or model.intents[0])]))
            assert torch.equal(belief.curve_db, curve[0])
