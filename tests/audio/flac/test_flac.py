"""FLAC of our own: libsndfile, ffmpeg and flac read the same samples, we read theirs, and damage is never taken for audio."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stylefx.audio import flac
from stylefx.audio.flac import decode_flac, encode_flac
from stylefx.audio.flac.decode import flac_info
from tests.support.browser import running_browser
from tests.support.signals import speech_like

RATE = 24000
SUBTYPES = {16: "PCM_16", 24: "PCM_24"}


def integers(kind: str, bits: int, channels: int, frames: int = 9000) -> np.ndarray:
    """Samples (channels, frames) that call for every part of the format."""
    rng = np.random.default_rng(frames + channels)
    top = 2 ** (bits - 1)
    if kind == "voice":
        audio = speech_like(frames, RATE, channels)
    elif kind == "noise":
        audio = rng.uniform(-1, 1, (channels, frames))
    elif kind == "tone":
        audio = 0.9 * np.sin(0.3 * np.arange(frames))[None] * np.arange(1, channels + 1)[:, None] / channels
    elif kind == "square":  # full scale to full scale
        audio = np.where(np.arange(frames) // 7 % 2, -1.0, 1.0)[None] * np.array([1.0, -1.0])[:channels, None]
    elif kind == "silence":
        audio = np.zeros((channels, frames))
    elif kind == "offset":
        audio = np.full((channels, frames), -0.3)
    elif kind == "coarse":  # the lowest five bits are never used
        return (rng.integers(-(top >> 6), top >> 6, (channels, frames)) << 5).astype(np.int32)
    elif kind == "dull":  # nothing above a tenth of the band, so far below the last bit that high orders pay
        spectrum = np.fft.rfft(rng.normal(0, 1, (channels, frames)))
        spectrum[:, frames // 20 :] = 0.0
        audio = np.fft.irfft(spectrum, n=frames) * [[0.9], [0.8]][:channels]
    elif kind == "clicks":
        audio = np.where(rng.uniform(size=(channels, frames)) < 0.001, 0.99, 0.0)
    else:
        audio = np.concatenate([np.zeros((channels, frames // 2)), rng.normal(0, 1e-4, (channels, frames - frames // 2))], axis=1)
    return np.clip(np.rint(audio * top), -top, top - 1).astype(np.int32)


KINDS = ["voice", "noise", "tone", "square", "silence", "offset", "coarse", "clicks", "faint", "dull"]


def by_libsndfile(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].T


def made_by_libsndfile(samples: np.ndarray, bits: int, level: float | None = None) -> bytes:
    buffer = io.BytesIO()
    frames = samples.T.astype(np.int16) if bits == 16 else np.ascontiguousarray(samples.T << 8)
    soundfile.write(buffer, frames, RATE, format="FLAC", subtype=SUBTYPES[bits], compression_level=level)
    return buffer.getvalue()


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_libsndfile_and_we_read_the_samples_that_were_written(kind, channels, bits):
    for frames in (9000, 4096, 8193):
        samples = integers(kind, bits, channels, frames)
        data = encode_flac(samples, RATE, bits)
        expected = (samples * 2.0 ** (1 - bits)).astype(np.float32)
        np.testing.assert_array_equal(by_libsndfile(data), expected)
        found, rate = decode_flac(data)
        assert rate == RATE
        np.testing.assert_array_equal(found, expected)
        assert encode_flac(samples, RATE, bits) == data


@pytest.mark.parametrize("frames", [*range(1, 22), 63, 64, 65, 192, 4095, 4097])
def test_any_length_is_kept(frames):
    for channels in (1, 2):
        samples = integers("voice", 16, channels, frames)
        data = encode_flac(samples, RATE, 16)
        np.testing.assert_array_equal(by_libsndfile(data), samples / np.float32(32768))
        np.testing.assert_array_equal(decode_flac(data)[0], samples / np.float32(32768))


@pytest.mark.parametrize("program", ["flac", "ffmpeg"])
@pytest.mark.parametrize("bits", [16, 24])
def test_other_decoders_agree(program, bits, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    for kind in KINDS:
        samples = integers(kind, bits, 2, 300_000 if kind == "voice" else 9000)
        path, out = tmp_path / "a.flac", tmp_path / "a.wav"
        path.write_bytes(encode_flac(samples, RATE, bits))
        command = {
            "flac": ["flac", "--silent", "--force", "--decode", path, "-o", out],
            "ffmpeg": [
                "ffmpeg",
                "-v",
                "error",
                "-xerror",
                "-err_detect",
                "crccheck",
                "-y",
                "-i",
                path,
                "-c:a",
                f"pcm_s{bits}le",
                out,
            ],
        }[program]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not done.stderr.replace("WARNING, cannot check MD5 signature since it was unset in the STREAMINFO", "").strip(
            "a.flc: \n"
        )
        np.testing.assert_array_equal(soundfile.read(out, dtype="int32")[0].T >> (32 - bits), samples)


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("level", [0.0, 0.6, 1.0])
def test_files_of_libsndfile_are_read_to_the_bit(level, bits):
    for kind in KINDS:
        for channels in (1, 2):
            data = made_by_libsndfile(integers(kind, bits, channels), bits, level)
            np.testing.assert_array_equal(decode_flac(data)[0], by_libsndfile(data), err_msg=kind)


@pytest.mark.parametrize("options", ["-lpc_type cholesky -compression_level 12", "-max_prediction_order 32", "-frame_size 65535"])
def test_files_of_ffmpeg_with_orders_up_to_32_are_read_to_the_bit(options, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed: apt-get install ffmpeg")
    wav, path = tmp_path / "a.wav", tmp_path / "a.flac"
    for kind in ("voice", "tone", "noise", "clicks"):
        soundfile.write(wav, integers(kind, 16, 2, 140_000).T.astype(np.int16), RATE)
        coder = [*["-c:a", "flac", "-strict", "experimental"], *options.split()]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", wav, *coder, path], check=True)
        found = decode_flac(path.read_bytes())
        assert found is not None
        np.testing.assert_array_equal(found[0], by_libsndfile(path.read_bytes()))


@pytest.mark.parametrize("made", ["ours", "libsndfile"])
def test_any_stretch_is_a_piece_of_the_whole(made):
    samples = integers("voice", 24, 2, 120_000)
    data = encode_flac(samples, RATE, 24) if made == "ours" else made_by_libsndfile(samples, 24)
    whole = decode_flac(data)[0]
    for start, frames in (
        (0, 10),
        (4095, 2),
        (32768, 5000),
        (32767, 1),
        (70_001, 40_000),
        (119_999, 10),
        (119_000, -1),
        (120_000, 3),
    ):
        part, _ = decode_flac(data, start, frames)
        np.testing.assert_array_equal(part, whole[:, start : start + frames if frames >= 0 else None])
    assert (len(flac_info(data).points) > 0) == (made == "ours")


def test_what_is_not_the_usual_flac_is_left_to_libsndfile():
    three = io.BytesIO()
    soundfile.write(three, np.zeros((100, 3), np.int16), RATE, format="FLAC")
    eight = io.BytesIO()
    soundfile.write(eight, np.zeros((100, 1)), RATE, format="FLAC", subtype="PCM_S8")
    wav = io.BytesIO()
    soundfile.write(wav, np.zeros(100), RATE, format="WAV")
    ours = encode_flac(integers("voice", 16, 1), RATE, 16)
    for data in (three.getvalue(), eight.getvalue(), wav.getvalue(), b"", b"fLaC", ours[:50], b"ID3" + ours):
        assert decode_flac(data) is None
    assert decode_flac(ours, 9001) is None


@pytest.mark.parametrize("bits", [16, 24])
def test_a_flipped_bit_is_never_taken_for_audio(bits):
    data = encode_flac(integers("voice", bits, 2, 5000), RATE, bits)
    first = flac_info(data).first_byte
    rng = np.random.default_rng(bits)
    for place in rng.integers(first * 8, len(data) * 8, 3000):
        broken = bytearray(data)
        broken[place // 8] ^= 1 << (place % 8)
        assert decode_flac(bytes(broken)) is None


def test_bytes_at_random_crash_nothing():
    data = encode_flac(integers("voice", 16, 2, 600), RATE, 16)
    rng = np.random.default_rng(5)
    for _ in range(5000):
        broken = bytearray(data)
        for place in rng.integers(4, len(data), rng.integers(1, 9)):
            broken[place] = rng.integers(256)
        decode_flac(bytes(broken[: rng.integers(len(data)) if rng.uniform() < 0.3 else None]))


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_files_are_as_small_as_those_of_libsndfile(kind, channels, bits):
    samples = integers(kind, bits, channels, 131_072)
    ours, theirs = encode_flac(samples, RATE, bits), made_by_libsndfile(samples, bits)
    header = len(theirs) - len(theirs.split(b"\xff\xf8", 1)[1])
    assert len(ours) <= 1.03 * (len(theirs) - header) + 200


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [131_072, 5000, 100])
def test_silence_is_a_few_bytes_and_noise_no_larger_than_it_is(frames, channels, bits):
    blocks = -(-frames // 4096)
    headers = 42 + 4 + 18 * (blocks // 8) + blocks * (16 + 2 + channels)  # of the file, its places to seek to, and its frames
    assert len(encode_flac(integers("silence", bits, channels, frames), RATE, bits)) <= headers + 4 * blocks * channels
    rng, top = np.random.default_rng(frames), 2 ** (bits - 1)
    square = np.where(rng.uniform(size=(channels, frames)) < 0.5, -top, top - 1)
    for noise in (rng.integers(-top, top, (channels, frames)), square):
        assert len(encode_flac(noise.astype(np.int32), RATE, bits)) <= headers + frames * channels * bits // 8


def test_loops_in_several_files_are_compiled_anew_with_each_of_them():
    """numba's cache keeps a loop by the content of its own file, which must therefore change with those that it calls from."""
    folder = Path(flac.__file__).parent
    for name, used in (("encode", "checksums predict_kernels words"), ("decode", "checksums unpack_kernels words")):
        content = b"".join((folder / f"{part}.py").read_bytes().replace(b"\r\n", b"\n") for part in used.split())
        stated = f"``{hashlib.sha256(content).hexdigest()[:12]}``"
        assert stated in (folder / f"{name}_kernels.py").read_text(), f"{name}_kernels.py has to state {stated}"


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("rate", [12000, 22254, 44100, 96000, 655350])
def test_every_rate_is_read_back_and_a_browser_decodes_what_it_can(rate):
    samples = integers("voice", 16, 1, 9000)
    data = encode_flac(samples, rate, 16)
    assert soundfile.info(io.BytesIO(data)).samplerate == rate
    np.testing.assert_array_equal(by_libsndfile(data), samples / np.float32(32768))
    assert decode_flac(data)[1] == rate
    if rate > 96000:
        return
    with running_browser() as browser:
        played = browser.new_page().evaluate(
            """async address => {
              const player = new Audio(address);
              await player.play();
              for (let i = 0; i < 200 && player.currentTime === 0; i++) await new Promise(done => setTimeout(done, 50));
              return [player.currentTime, player.duration, player.error && player.error.message];
            }""",
            "data:audio/flac;base64," + base64.b64encode(data).decode(),
        )
    assert played[0] > 0
    assert played[1] == pytest.approx(9000 / rate, abs=0.01)
    assert played[2] is None
