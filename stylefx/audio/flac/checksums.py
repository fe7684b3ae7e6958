"""The two checksums of FLAC frames (RFC 9639, section 9.1.8 and 9.3): tables for a byte, and for eight bytes at a time."""

from __future__ import annotations

import numpy as np

from stylefx.effects.kernels.jit import kernel

_Q = 0x8003  # x^15 + x + 1


def _table(polynomial: int, bits: int) -> np.ndarray:
    values = np.arange(256, dtype=np.uint32) << np.uint32(bits - 8)
    for _ in range(8):
        carry = values >> np.uint32(bits - 1) & np.uint32(1)
        values = (values << np.uint32(1) ^ carry * np.uint32(polynomial)) & np.uint32((1 << bits) - 1)
    return values


def _sliced(table: np.ndarray, slices: int) -> np.ndarray:
    """Row k: what a byte does when k more bytes follow it (M. Kounavis and F. Berry 2005)."""
    rows = [table]
    for _ in range(slices - 1):
        last = rows[-1]
        rows.append((last << np.uint32(8) ^ table[last >> np.uint32(8)]) & np.uint32(0xFFFF))
    return np.stack(rows)


CRC8 = _table(0x07, 8).astype(np.uint8)
CRC16 = _sliced(_table(0x8005, 16), 8).astype(np.uint16)


@kernel
def _add(words, first, count, distance):
    """Each of ``count`` words from ``first`` on is added to the one that stands so many words behind it."""
    here, there = words[first : first + count], words[first + distance : first + distance + count]
    for i in range(len(here)):
        there[i] ^= here[i]


@kernel
def checksum(data, first, last, table):
    """CRC-16 of data[first:last], last > first: what is far from the end is added to what is nearer, many words at once.

    The polynomial is (x + 1) q with q = x^15 + x + 1. In arithmetic modulo 2, q(x)^64 = q(x^64): modulo q, a word of 64 bits
    counts as much as itself 14 and 15 words further on, and the same holds with all distances doubled. So words are added to
    later ones until 15 are left, whose remainder a table gives; modulo x + 1 the remainder is the parity of all bits.
    """
    size = (last - first + 7) >> 3
    words = np.empty(size, np.uint64)
    words[0] = 0  # zeros before the first byte change nothing
    whole = words.view(np.uint8)
    given, kept = data[first:last], whole[8 * size - (last - first) :]
    for i in range(len(given)):
        kept[i] = given[i]
    odd = np.uint64(0)
    for i in range(size):
        odd ^= words[i]
    unit, start = 1, 0
    while 30 * unit < size:
        unit *= 2
    while unit > 0:
        more = size - start - 15 * unit
        if more > 0:
            near = min(more, 14 * unit)
            _add(words, start, near, 14 * unit)  # in two steps: none of them adds to what it still has to take
            _add(words, start + near, more - near, 14 * unit)
            _add(words, start, more, 15 * unit)
            start += more
        unit >>= 1
    crc = np.int64(0)
    for at in range(8 * start, 8 * size, 8):
        left = np.int64(table[7, whole[at] ^ (crc >> 8)]) ^ table[6, whole[at + 1] ^ (crc & 255)]
        middle = table[5, whole[at + 2]] ^ table[4, whole[at + 3]] ^ table[3, whole[at + 4]]
        crc = left ^ middle ^ table[2, whole[at + 5]] ^ table[1, whole[at + 6]] ^ table[0, whole[at + 7]]
    odd ^= np.uint64(crc)
    for half in (32, 16, 8, 4, 2, 1):
        odd ^= odd >> np.uint64(half)
    return crc ^ _Q if odd & np.uint64(1) else crc
