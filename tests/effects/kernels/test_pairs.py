"""Two signals with settings of their own, side by side, give the bits that each gives alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from stylefx.effects.kernels import pairs
from stylefx.effects.registry import make_effect
from stylefx.effects.side_by_side import render_two
from stylefx.errors import UserError

RATE = 24000.0
NAMES = ["parametric_eq", "graphic_eq", "compressor", "expander"]


def settings(effect, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return {p.name: p.from_control(rng.uniform(0.1, 0.9)) for p in effect.parameters}


def programme(seed: int, samples: int, channels: int = 1) -> np.ndarray:
    """Noise of many levels that ends in silence, long enough for states to die away."""
    rng = np.random.default_rng(seed)
    audio = rng.normal(0, 0.3, (channels, samples)) * 10.0 ** np.repeat(rng.uniform(-6, 0, samples // 100 + 1), 100)[:samples]
    audio[:, samples // 2 : samples - 300] = 0.0
    return audio.astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_two_signals_side_by_side_give_the_bits_of_each_alone(name, seed, monkeypatch):
    effect, samples = make_effect(name), 12000 + 7 * seed
    given, audio = (settings(effect, seed), settings(effect, seed + 50)), (programme(seed, samples), programme(seed + 9, samples))
    alone = [effect.render(a, s, RATE) for a, s in zip(audio, given, strict=True)]
    monkeypatch.setattr(type(effect), "render", lambda *_: pytest.fail("one after the other"))
    for got, wanted in zip(render_two((effect, effect), audio, given, RATE), alone, strict=True):
        assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_streams_go_on_alone_and_together_in_any_order(name):
    effect = make_effect(name)
    given, audio = [settings(effect, 1), settings(effect, 2)], [programme(3, 9000), programme(4, 9000)]
    wanted = [effect.start(effect.complete(s), RATE, 1)(a) for a, s in zip(audio, given, strict=True)]
    one, other = (effect.start(effect.complete(s), RATE, 1) for s in given)
    made, start = [[], []], 0
    for number, size in enumerate([1, 2, 3, 255, 256, 257, 1023, 1024, 1025, 700, 9000]):
        blocks = [a[:, start : start + size] for a in audio]
        pair = pairs.beside(one, other, *blocks) if number % 3 else (one(blocks[0]), other(blocks[1]))
        for k in range(2):
            made[k].append(pair[k])
        start += size
    for k in range(2):
        assert np.concatenate(made[k], axis=1).tobytes() == wanted[k].tobytes()


def test_what_cannot_go_together_goes_one_after_the_other():
    eq, compressor, reverb = make_effect("parametric_eq"), make_effect("compressor"), make_effect("reverb")
    mono, stereo, short = programme(0, 3000), programme(1, 3000, 2), programme(2, 2000)
    cases = [
        ((eq, compressor), (mono, mono)),
        ((reverb, reverb), (mono, mono)),
        ((eq, eq), (stereo, stereo)),
        ((eq, eq), (mono, short)),
    ]
    for effects, audio in cases:
        given = tuple(settings(e, 5) for e in effects)
        found = render_two(effects, audio, given, RATE)
        for effect, signal, one, out in zip(effects, audio, given, found, strict=True):
            np.testing.assert_array_equal(out, effect.render(signal, one, RATE))
    neutral = {name: 0.0 for name in settings(eq, 0) if name.endswith("gain_db")}
    found = render_two((eq, eq), (mono, mono), (neutral, settings(eq, 3)), RATE)
    np.testing.assert_array_equal(found[0], mono)


def test_what_is_no_audio_is_refused():
    effect = make_effect("compressor")
    with pytest.raises(UserError, match="NaN"):
        render_two((effect, effect), (programme(0, 500), np.full((1, 500), np.nan)), ({}, {}), RATE)


def test_a_change_of_what_is_compiled_in_changes_the_file_that_the_cache_knows():
    folder = Path(pairs.__file__).parent
    content = b"".join((folder / f"{n}.py").read_bytes().replace(b"\r\n", b"\n") for n in ("dynamics", "smoothed"))
    assert f"``{hashlib.sha256(content).hexdigest()[:12]}``" in (pairs.__doc__ or ""), "state the new digest in pairs.py"
