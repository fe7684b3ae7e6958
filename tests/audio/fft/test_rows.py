"""Transforms of rows side by side are those of numpy in double precision, to the rounding of single precision."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stylefx.audio import fft
from stylefx.audio.fft import irfft_rows, rfft_rows, windowed_rfft

SMOOTH = [n for n in range(2, 700) if n % 2 == 0 and n // 2 % 7]
SIZES = sorted({*SMOOTH[::3], 4, 6, 10, 256, 480, 1536, 2304, 4320, 4608, 9216, 16384})


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape[-1]).standard_normal(shape).astype(np.float32)


def largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


@pytest.mark.parametrize("size", SIZES)
def test_every_size_agrees_with_double_precision(size):
    audio = noise(19, size)
    exact = np.fft.rfft(audio.astype(np.float64))
    assert largest(rfft_rows(audio) - exact) < 4e-7 * largest(exact)
    assert largest(irfft_rows(exact.astype(np.complex64), size) - audio) < 6e-7 * largest(audio)


@pytest.mark.parametrize("size", [256, 2304, 4320])
def test_no_less_exact_than_scipy(size):
    import scipy.fft

    audio = noise(64, size)
    exact = np.fft.rfft(audio.astype(np.float64))
    error, theirs = (np.linalg.norm(found - exact) for found in (rfft_rows(audio), scipy.fft.rfft(audio)))
    assert error < 1.3 * theirs


@pytest.mark.parametrize("size", [1, 2, 3, 9, 14, 135, 154, 2310])
def test_sizes_with_other_factors_are_transformed_too(size):
    audio = noise(3, 2, size)
    spectra = rfft_rows(audio)
    assert spectra.dtype == np.complex64
    np.testing.assert_allclose(spectra, np.fft.rfft(audio.astype(np.float64)), atol=1e-4)
    np.testing.assert_allclose(irfft_rows(spectra, size), audio, atol=1e-5)


@pytest.mark.parametrize("count", [*range(1, 20), 31, 32, 33])
def test_a_row_gives_the_same_bits_beside_whatever_others(count):
    audio = noise(40, 360)
    rfft_rows(1e30 * noise(16, 360))  # what lies in lanes that have no row
    together = rfft_rows(audio[:count])
    back = irfft_rows(together, 360)
    for i in range(count):
        np.testing.assert_array_equal(rfft_rows(audio[i]), together[i])
        np.testing.assert_array_equal(irfft_rows(together[i], 360), back[i])


@pytest.mark.parametrize("size", [8, 10, 48, 135, 256, 2304])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 33])
def test_segments_around_places_are_windowed_and_silent_outside(size, channels, count):
    audio, window = noise(channels, 3000), np.hanning(size).astype(np.float32)
    centres = np.random.default_rng(count).integers(-size, 3000 + size, count)
    padded = np.pad(audio, ((0, 0), (2 * size, 2 * size)))
    segments = [padded[:, c + 2 * size - size // 2 :][:, :size] * window for c in centres]
    wanted = rfft_rows(np.array(segments, np.float32).reshape(count, channels, size))
    np.testing.assert_array_equal(windowed_rfft(audio, centres, window), wanted)


def test_shapes_are_kept_and_no_argument_is_changed():
    audio = noise(3, 2, 480)
    before = audio.copy()
    spectra = rfft_rows(audio[:, ::-1])
    held = spectra.copy()
    assert spectra.shape == (3, 2, 241)
    assert irfft_rows(spectra, 480).shape == (3, 2, 480)
    assert rfft_rows(audio[:0]).shape == (0, 2, 241)
    np.testing.assert_array_equal(audio, before)
    np.testing.assert_array_equal(spectra, held)
    np.testing.assert_array_equal(spectra[:, ::-1], rfft_rows(audio))


def test_silence_stays_silent_beside_sound():
    audio = noise(16, 2304)
    audio[3] = 0.0
    spectra = rfft_rows(audio)
    assert not spectra[3].any()
    assert not irfft_rows(spectra, 2304)[3].any()


def test_imaginary_parts_of_the_ends_do_not_count():
    spectra = rfft_rows(noise(2, 64))
    bent = spectra.copy()
    bent[:, 0] += 3j
    bent[:, -1] -= 2j
    np.testing.assert_array_equal(irfft_rows(bent, 64), irfft_rows(spectra, 64))


@pytest.mark.parametrize(("file", "used"), [("lanes", "butterflies tiles"), ("rows", "lanes")])
def test_a_change_of_what_is_compiled_in_changes_the_file_that_the_cache_knows(file, used):
    folder = Path(fft.__file__).parent
    content = b"".join((folder / f"{name}.py").read_bytes().replace(b"\r\n", b"\n") for name in used.split())
    digest = hashlib.sha256(content).hexdigest()[:12]
    assert f"``{digest}``" in (folder / f"{file}.py").read_text(), f"{file}.py has to state ``{digest}``"


SAME_BITS = """
import hashlib
import numpy as np
from stylefx.audio.fft import irfft_rows, rfft_rows
for size in (256, 480, 2304):
    spectra = rfft_rows(np.random.default_rng(0).standard_normal((18, size)).astype(np.float32))
    print(hashlib.sha256(spectra.tobytes() + irfft_rows(spectra, size).tobytes()).hexdigest())
"""


def test_the_same_bits_on_a_processor_without_wide_registers_and_fused_multiply_add(tmp_path):
    def run(name: str, **environment: str) -> str:
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / name), **environment}
        folder = Path(fft.__file__).parents[3]
        command = [sys.executable, "-B", "-c", SAME_BITS]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=True).stdout

    oldest = run("generic", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert oldest.count("\n") == 3
    assert run("host") == oldest
