"""The loops of FLAC beside plain ones: checksums bit by bit, sums of products of Python's integers, codes written one by one."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.audio.flac.checksums import CRC16, checksum
from stylefx.audio.flac.encode import _window
from stylefx.audio.flac.encode_kernels import write_codes
from stylefx.audio.flac.predict_kernels import BEFORE, _autocorrelation, cheapest, linear_residual
from stylefx.audio.flac.unpack_kernels import codes, far_weights, predicted
from stylefx.audio.flac.words import FAR, LAGS, LANES


def crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def test_the_checksum_of_any_number_of_bytes_is_that_of_its_bits():
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, 40_003).astype(np.uint8)
    for size in (*range(1, 400), 959, 960, 961, 4096, 7000, 7679, 7681, 40_000):
        assert checksum(data, 3, 3 + size, CRC16) == crc16(data[3 : 3 + size].tobytes()), size


@pytest.mark.parametrize("bits", [16, 24, 25])
@pytest.mark.parametrize("size", [4096, 4095, 4090, 100, 9])
def test_sums_of_products_are_exact_at_full_scale(size, bits):
    rng = np.random.default_rng(size)
    top = 2 ** (bits - 1)
    for samples in (np.full(size, -top), np.where(rng.uniform(size=size) < 0.5, -top, top - 1), rng.integers(-top, top, size)):
        x, window, r = samples.astype(np.int32), _window(size), np.zeros(LAGS)
        _autocorrelation(x, size, bits, window, np.concatenate([np.zeros(BEFORE), np.full(size + LANES, 3.0)]), r)
        whole = [int(v) for v in np.rint(x * window)]
        assert r.tolist() == [float(sum(whole[i] * whole[i - lag] for i in range(lag, size))) for lag in range(LAGS)]


def test_the_residual_of_prediction_is_that_of_whole_numbers():
    rng = np.random.default_rng(1)
    for bits in (16, 24, 25):
        x = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 500).astype(np.int32)
        q, out = rng.integers(-(2**14), 2**14, 8).astype(float), np.zeros(500, np.int32)
        for shift in (8, 12, 15):
            expected = [int(x[i]) - (sum(int(q[k]) * int(x[i - 1 - k]) for k in range(8)) >> shift) for i in range(8, 500)]
            fits = linear_residual(x, q, shift, 500, np.zeros(500), out)
            assert fits == (max(abs(e) for e in expected) <= 2**30)
            if fits:
                assert out[8:].tolist() == expected


def test_the_parameter_of_a_partition_is_the_largest_that_its_mean_allows():
    for count in (1, 33, 64, 4096):
        for total in (0, 1, count - 1, count, count + 1, 2 * count - 1, 2 * count, 1000 * count, count << 30, count << 31):
            low = 0
            while low < 30 and count << (low + 1) <= total:
                low += 1
            assert cheapest(total, count, 30)[0] == low


def coded(values: list[int], low: int) -> str:
    return "".join("0" * (v >> low) + "1" + (f"{v & ((1 << low) - 1):0{low}b}" if low else "") for v in values)


@pytest.mark.parametrize("low", [0, 1, 5, 9, 10, 13, 14, 20, 27, 30])
@pytest.mark.parametrize("tail", [1.0, 9.0, 40.0])  # how long codes are beyond the shortest
def test_codes_are_written_and_read_as_the_format_says(low, tail):
    rng = np.random.default_rng(low)
    for count in (1, 2, 3, 4, 7, 64, 301):
        values = np.minimum(rng.exponential(tail, count) * 2.0**low + rng.integers(0, 2**low, count), 2.0**32 - 1).astype(
            np.uint32
        )
        for at in (0, 3, 7):
            out, pairs = np.zeros(40_000, np.uint8), np.empty((2, 200), np.uint64)
            end = write_codes(out.ctypes.data, at, values, 0, count, low, pairs)
            expected = "0" * at + coded([int(v) for v in values], low)
            assert end == len(expected)
            assert "".join(f"{byte:08b}" for byte in out[: end // 8 + 1])[:end] == expected
            signed = [(int(v) >> 1) ^ -(int(v) & 1) for v in values]
            y = np.zeros(count, np.int64)
            assert codes(out.ctypes.data, at, end, low, y, 0, count) == end
            assert y.tolist() == signed
            assert codes(out.ctypes.data, at, end - 1, low, y, 0, count) in (-1, end)
            c, far = np.zeros(32, np.int64), np.zeros((FAR + 1, LANES), np.int64)
            c[:8] = rng.integers(-(2**12), 2**12, 8)
            far_weights(c, far)
            y = np.concatenate([rng.integers(-999, 999, 8), np.zeros(count, np.int64)])
            plain = y.tolist()[:8]
            for value in signed:
                plain.append(value + (sum(int(c[k]) * plain[-1 - k] for k in range(8)) >> 14))
            if max(abs(v) for v in plain) >= 2**31:
                continue  # no samples: they have 25 bits at most
            assert predicted(out.ctypes.data, at, end, low, y, 8, 8 + count, c, far, 14) == end
            assert y.tolist() == plain
