"""What the warm-up measures and renders: distances as they are heard, styles in audio, the worth of heads on unknown groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylefx.corpus.reader import open_corpus
from stylefx.effects.chain import EffectChain
from stylefx.effects.registry import make_effect
from stylefx.evaluation.metrics.character import Character
from stylefx.models.solver.averages import AveragesEncoder
from stylefx.models.solver.panel import lessened
from stylefx.models.solver.unroll import without_mean
from stylefx.training.warm_up.curves import CurveDraws
from stylefx.training.warm_up.heard import HeardDistance
from stylefx.training.warm_up.pairs import CurvePairs
from stylefx.training.warm_up.stages import Said, worth
from stylefx.training.warm_up.store import measure_dry
from stylefx.training.warm_up.styled import equalised, in_styles, levelled
from tests.training.warm_up.test_warm_up import solver_model

torch.set_num_threads(1)


def test_the_heard_distance_is_that_of_p9():
    """Third octaves at equal loudness, against P9's own measure of rendered noise."""
    encoder, rate = AveragesEncoder(), 44100
    noise = 0.05 * np.random.default_rng(0).standard_normal((1, 5 * rate)).astype(np.float32)
    effect, hz = make_effect("parametric_eq"), encoder.centres_hz.numpy()
    settings = [{"low_shelf_gain_db": 9.0}, {"high_shelf_gain_db": -12.0, "band1_gain_db": 5.0}]
    curves = [torch.from_numpy(effect.response_db(s, np.minimum(hz, 20000), rate)).float()[None] for s in settings]
    a, b = (Character.of(effect.render(noise, s, rate), rate, spectra=False) for s in settings)
    distance = HeardDistance(encoder, 80)
    found = distance(*curves, encoder(torch.from_numpy(noise)[None], rate))
    everywhere = 0.15 * (curves[0] - curves[1] - (curves[0] - curves[1]).mean()).abs().mean()
    assert float(found - everywhere) == pytest.approx(a.distance(b)["octave_db"], rel=0.06)


def test_a_panel_is_restrained_by_what_it_said_of_groups_it_did_not_know():
    """Heads that are right are left alone; heads that guess at random are lessened, and their scale is widened to their error."""
    model = solver_model()
    points = model.controller.reading.points
    distance, draw = HeardDistance(model.encoder, points), CurveDraws(model.encoder.centres_hz, 3)
    truth, e_input = draw(300)[:, :points], -1.0 + torch.zeros(300, model.encoder.embedding_size)
    right = Said(truth.clone(), torch.ones_like(truth), truth, e_input)
    assert worth(distance, [right], 0.5)[0] == 0.0
    wild = Said(draw.smooth(300, 2.0)[:, :points], torch.ones_like(truth), 0.2 * truth, e_input)
    least, doubt = worth(distance, [wild], 0.5)
    assert least > 0.5
    error = (without_mean(lessened(wild.curve, least)) - without_mean(wild.truth)).abs().mean()
    assert doubt == pytest.approx(float(error), rel=1e-4)


def test_rendered_styles_have_the_curve_that_they_name_and_the_level_of_training():
    rate, bands = 24000, AveragesEncoder().centres_hz.numpy()
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 4 * rate)).astype(np.float32)
    curve = CurveDraws(AveragesEncoder().centres_hz, 2).smooth(1, 5.0).numpy()
    found = equalised(noise, curve[0], bands, rate)
    hz = np.fft.rfftfreq(noise.shape[1], 1 / rate)
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(found[0])) / np.abs(np.fft.rfft(noise[0])))
    inside = (hz > 60) & (hz < 9000)
    miss = gain_db[inside] - np.interp(np.log(hz[inside]), np.log(bands), curve[0])
    assert np.median(np.abs(miss)) < 0.1
    styled = in_styles(noise, np.zeros((20, 80)), bands, EffectChain.of(make_effect("compressor")), rate, 1, "key")
    assert np.abs(styled).max(axis=1) == pytest.approx([10 ** (-12 / 20)] * 20, rel=1e-4)
    plain = np.abs(styled - levelled(noise)).max(axis=1) < 1e-4
    assert 0.3 < plain.mean() < 1, "the other effects are behind some of them"


def test_pairs_of_rendered_styles_name_what_was_done(corpus):
    """References are the rendered ones, and the truth is their curve and the small ones that were added."""
    model = solver_model()
    curves = CurveDraws(model.encoder.centres_hz, 2)(6 * 2).unflatten(0, (6, 2))
    dry = measure_dry(model.encoder, model.chain, [open_corpus(corpus)], 6, seed=1, curves=curves)
    assert dry.styled.shape == (6, 2, model.encoder.embedding_size)
    draws = CurveDraws(model.encoder.centres_hz, 9)
    pairs = CurvePairs(dry, model.encoder, lambda n: (torch.zeros(n, 80), torch.zeros(n, 80)), draws, 0.5, 4)
    _, e_reference, true_db = pairs(40, room_db=0.0)
    rendered, known = dry.styled.flatten(0, 1), dry.styled_db.flatten(0, 1)
    nearest = torch.cdist(e_reference[:, 80:160], rendered[:, 80:160]).argmin(dim=1)
    torch.testing.assert_close(true_db, known[nearest])
