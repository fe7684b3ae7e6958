"""Rounding to integers, beside the same in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.audio.quantise import quantise


@pytest.mark.parametrize("bits", [16, 24])
def test_rounding_is_that_of_double_precision_at_every_size(bits):
    rng = np.random.default_rng(3)
    full = 2.0 ** (bits - 1)
    sizes = (rng.uniform(-1, 1, 60000) * 2.0 ** rng.integers(-150, 1, 60000)).astype(np.float32)
    halves = ((rng.integers(-(1 << 20), 1 << 20, 20000) + 0.5) / full).astype(np.float32)
    ends = np.array([0.0, -0.0, 1.0 - 1 / full, -1.0, 1.0, 1.5, -1.5, 0.49999997 / full, 1e-45], np.float32)
    audio = np.concatenate([sizes, np.clip(halves, -1, 1), ends])[-80000:].reshape(2, -1)
    got = quantise(audio, bits)
    expected = np.clip(np.rint(audio.T.astype(np.float64) * full), -full, full - 1).astype(np.int64)
    assert got.dtype == {16: np.int16, 24: np.int32}[bits]
    np.testing.assert_array_equal(got, expected << (8 if bits == 24 else 0))
    assert got.flags.c_contiguous
