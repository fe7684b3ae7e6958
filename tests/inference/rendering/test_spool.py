"""Rendered blocks wait for their last gain and come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from stylefx.inference.rendering.spool import RenderedSpool


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1000, 3 << 20])  # in memory, and more than is kept there
def test_blocks_come_back_with_their_bits_and_lengths_as_often_as_asked(tmp_path, channels, frames):
    rng = np.random.default_rng(1)
    lengths = [frames, 1, 0, 65536, 7]
    blocks = [rng.standard_normal((channels, n)).astype(np.float32) for n in lengths]
    blocks.append(np.asfortranarray(blocks[0][:, :500]))  # not contiguous
    with RenderedSpool(tmp_path, channels) as spool:
        for block in blocks:
            spool.write(block)
        for _ in range(2):
            found = list(spool)
            assert [b.shape for b in found] == [b.shape for b in blocks if b.size]  # nothing for a block of no samples
            assert all(np.array_equal(a, b) for a, b in zip(found, (b for b in blocks if b.size), strict=True))
            assert all(b.flags.writeable and b.flags.c_contiguous for b in found)
