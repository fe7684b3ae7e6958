"""What makes proxies learn on little: their first weights, their recordings, their schedule."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from stylefx.cli import cli
from stylefx.corpus.reader import open_corpus
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.errors import Interrupted, UserError
from stylefx.experiments.proxy_training import ProxyTraining, _gain_to_level, train_proxy
from stylefx.experiments.recordings import load_recordings
from stylefx.strategies.filterbank import design, start_as_filterbank
from stylefx.strategies.proxy import load_proxy
from stylefx.strategies.tcn import ConditionalTcn
from stylefx.training.processes import interrupt
from tests.support.stored_corpus import make_corpus

RATE = 24000.0


def noise(seed: int, seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("recordings")
    for i in range(40):
        (path / f"song{i // 2}").mkdir(exist_ok=True)
        soundfile.write(path / f"song{i // 2}" / f"{i}.wav", noise(i, 0.3 + 0.01 * i), int(RATE))
    return path


@pytest.mark.parametrize("start", [lambda tcn: None, start_as_filterbank])
def test_a_network_starts_as_the_identity(start):
    torch.manual_seed(0)
    tcn = ConditionalTcn(18, width=16)
    start(tcn)
    audio = torch.from_numpy(noise(0, 0.4))[None, None]
    with torch.no_grad():
        error = tcn(audio, torch.rand(1, 18)) - audio
    assert error.square().mean() < 0.02 * audio.square().mean()


def test_silence_stays_silent_and_a_later_start_changes_nothing():
    """Biases and shifts would leave a constant, which rules the logarithm of a silent spectrum; zeros before the start are a
    step for a network that answers silence with one."""
    torch.manual_seed(0)
    tcn = ConditionalTcn(3, blocks=3, kernel=5, growth=4, width=8).double()
    knobs = torch.rand(2, 3, dtype=torch.float64)
    for parameter in tcn.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    audio = torch.randn(2, 1, 400, dtype=torch.float64)
    late = torch.nn.functional.pad(audio, (50, 0))
    with torch.no_grad():
        assert tcn(torch.zeros_like(audio), knobs).abs().max() < 1e-12
        assert tcn(audio, knobs).std() > 0.1
        torch.testing.assert_close(tcn(late, knobs)[..., 50:], tcn(audio, knobs))
        assert tcn(late, knobs)[..., :50].abs().max() < 1e-12


def test_the_knobs_are_heard_from_the_start():
    """The usual draw of linear layers leaves FiLM's scales within 0.05 of each other over all positions of the knobs."""
    torch.manual_seed(0)
    tcn = ConditionalTcn(18, width=16)
    with torch.no_grad():
        scales = tcn.blocks[1].film(tcn.condition(2.0 * torch.rand(500, 18) - 1.0))[:, :16]
    assert scales.std(dim=0).median() > 0.1


def test_a_band_of_the_filterbank_is_a_peak_of_an_equaliser():
    """Turned up by its FiLM scale alone, a band lifts its centre by the gain and leaves two octaves away nearly alone."""
    tcn = ConditionalTcn(1, width=16)
    start_as_filterbank(tcn)
    impulse = torch.zeros(1, 1, 24000)
    impulse[..., 0] = 1.0
    bands = [c for c in design(16, 13, [1, 8, 64, 512]) if c.band]
    assert len(bands) >= 12
    centres = []
    for band in bands[:-1]:
        bias = tcn.blocks[band.block].film.bias
        with torch.no_grad():
            bias[band.number] += 1.0  # (1 + scale) from 0 to 1: a gain of 2
            response = np.abs(np.fft.rfft(tcn(impulse, torch.full((1, 1), 0.5))[0, 0].double().numpy()))
            bias[band.number] -= 1.0
        centre = int(np.argmax(response))
        centres.append(centre)
        assert 1.4 < response[centre] < 2.2, (band, centre)
        for away in (centre // 4, centre * 4):
            if 30 < away < 12000:
                assert response[away] < 1.45, (band, centre, away)
    assert min(c for c in centres if c) < 80
    assert max(centres) > 9000


def test_a_silent_cut_is_not_blown_up():
    """By 0.03 over its own level it would be, and one of them would undo a hundred steps."""
    silent, loud = torch.zeros(1, 1, 100), torch.full((1, 1, 100), 0.1)
    assert float(_gain_to_level(silent, silent)) <= 10.0
    assert float(_gain_to_level(loud, loud * 1e-3)) == pytest.approx(0.3)  # a crushed target is not lifted to the level
    assert float(_gain_to_level(loud, loud * 10.0)) == pytest.approx(0.03)


def test_folders_are_held_out_as_a_whole(folder):
    recordings = load_recordings(folder, RATE, 2048, max_minutes=60.0)
    numbers = {out: [round((len(w) - 7200) / 240) for w in waves] for out, waves in recordings.waves.items()}
    groups = {out: {number // 2 for number in of} for out, of in numbers.items()}
    assert groups[True]
    assert groups[False]
    assert not groups[True] & groups[False]


def _halves(path, split):
    corpus = open_corpus(path)
    return [half[0] for ref in corpus.samples(split) for half in corpus.read(ref, ["a.input", "b.input"]).values()]


def test_a_corpus_serves_as_recordings_and_its_validation_is_held_out(tmp_path):
    path = make_corpus(tmp_path / "c", {"train": [3], "val": [3]}, half_frames=4000, dry=True)
    rate = json.loads((path / "index.json").read_text())["sample_rate"]
    recordings = load_recordings(path, rate, 2048, max_minutes=60.0)
    heard = {split: _halves(path, split) for split in ("train", "val")}
    for out, split in ((False, "train"), (True, "val")):
        assert recordings.waves[out]
        assert all(any(np.array_equal(wave, half) for half in heard[split]) for wave in recordings.waves[out])
    with pytest.raises(UserError, match=f"--sample-rate {rate}"):
        load_recordings(path, rate + 1, 2048, max_minutes=60.0)


def test_the_learning_rate_warms_up_falls_and_ends_with_the_time():
    training = ProxyTraining(steps=1000, minutes=2.0)
    assert training.progress(500, 0.0) == 0.5
    assert training.progress(10, 90.0) == 0.75
    rates = [training.learning_rate_at(step, training.progress(step, 0.0)) for step in range(1000)]
    assert rates[0] < 0.05 * max(rates)
    assert max(rates) == pytest.approx(training.learning_rate, rel=0.05)
    assert rates[-1] < 1e-4 * max(rates)


def test_a_training_ends_at_its_time_limit(folder):
    training = ProxyTraining(RATE, steps=10**6, batch=1, frames=1024, minutes=0.01)
    _, record = train_proxy(
        EffectChain.of(make_effect("gain")),
        load_recordings(folder, RATE, 1024, max_minutes=0.05),
        training,
        {"blocks": 1, "width": 2},
    )
    assert 1 <= record["steps"] < 10**5


def test_an_interrupted_training_saves_what_was_learned(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(interrupt.StopRequest, "__enter__", lambda self: setattr(self, "signal_number", 2) or self)
    arguments = ["train-proxy", "gain", str(folder), "-o", str(tmp_path / "g"), "--steps", "500", "--batch", "1"]
    result = CliRunner().invoke(cli, [*arguments, "--frames", "1024", "--width", "2", "--device", "cpu"])
    assert isinstance(result.exception, Interrupted)
    assert result.exception.exit_status == 130
    assert "after step 1 of 500" in str(result.exception)
    assert load_proxy(tmp_path / "g").sample_rate == RATE
    assert json.loads((tmp_path / "g.json").read_text())["training"]["steps"] == 1
