"""The two checksums of FLAC frames (RFC 9639, section 9.1.8 and 9.3): tables for a byte, and for eight bytes at a time."""

from __future__ import annotations

import numpy as np

from stylefx.effects.kernels.jit import kernel


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
def checksum(data, first, last, table):
    """CRC-16 of data[first:last], eight bytes at a time."""
    crc = np.int64(0)
    at = first
    while at + 8 <= last:
        left = np.int64(table[7, data[at] ^ (crc >> 8)]) ^ table[6, data[at + 1] ^ (crc & 255)]
        middle = table[5, data[at + 2]] ^ table[4, data[at + 3]] ^ table[3, data[at + 4]]
        crc = left ^ middle ^ table[2, data[at + 5]] ^ table[1, data[at + 6]] ^ table[0, data[at + 7]]
        at += 8
    while at < last:
        crc = ((crc << 8) & 0xFFFF) ^ table[0, (crc >> 8) ^ data[at]]
        at += 1
    return crc
