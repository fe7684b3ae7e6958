"""Any stretch of a file is the same stretch of its full decode, in every format and encoding that libsndfile writes."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from stylefx.audio import open_blocks, read_audio
from stylefx.audio.decoders.formats import UNREAD_FORMATS, addressable
from stylefx.errors import UserError

RATES = (44100, 48000, 16000, 8000)
FRAMES = 30011


def encodings() -> list[tuple[str, str]]:
    return [(f, s) for f in soundfile.available_formats() for s in soundfile.available_subtypes(f)]


def written(folder, container: str, subtype: str):
    """A file of noise in this encoding, or a skip where libsndfile writes none."""
    path = folder / f"x.{container.lower()}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, FRAMES).astype(np.float32)
    for rate in RATES:
        try:
            with soundfile.SoundFile(path, "w", rate, 1, subtype, None, container) as file:
                file.write(noise)
            return path
        except (soundfile.LibsndfileError, ValueError, TypeError, AssertionError):
            continue
    return pytest.skip("libsndfile lists it and does not write it")


@pytest.mark.parametrize(("container", "subtype"), encodings())
def test_a_stretch_equals_the_stretch_of_the_full_decode(tmp_path, container, subtype):
    path = written(tmp_path, container, subtype)
    if container in UNREAD_FORMATS:
        with pytest.raises(UserError, match="cannot be decoded"):
            read_audio(path)
        return
    whole, _ = read_audio(path)
    assert whole.shape[1] >= FRAMES - 4096
    rng = np.random.default_rng(3)
    for _ in range(8):
        start = int(rng.integers(0, whole.shape[1] - 10))
        frames = int(rng.integers(1, whole.shape[1] - start + 1))
        np.testing.assert_array_equal(read_audio(path, start, frames)[0], whole[:, start : start + frames])
    with open_blocks(path, 777) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), whole)


def test_block_codecs_are_not_sought_in():
    assert not any(addressable("WAV", s) for s in ("GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32"))
    assert addressable("WAV", "PCM_24")
    assert addressable("FLAC", "PCM_16")
    assert not addressable("OGG", "VORBIS")
