"""`--figure`: one picture of a transfer, from at most a minute of each recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stylefx.audio.mixing import mix_down
from stylefx.audio.reading import open_blocks
from stylefx.audio.resampling import resample
from stylefx.figures.transfer import transfer_figure
from stylefx.inference.transfer import Transferred

MOST_SECONDS = 60.0


def _excerpt(path: str | Path, sample_rate: float) -> np.ndarray:
    """The first minute, mono, at ``sample_rate``: float32 (1, samples)."""
    pieces, frames = [], 0
    with open_blocks(path, 65536) as blocks:
        for block in blocks:
            pieces.append(mix_down(block))
            frames += block.shape[1]
            if frames >= MOST_SECONDS * blocks.info.sample_rate:
                break
        return resample(np.concatenate(pieces, axis=1), blocks.info.sample_rate, sample_rate)


def write_figure(path: str | Path, done: Transferred, source: str | Path, reference: str | Path) -> None:
    """Spectra of input, reference and output, equaliser curve, static curve, levels, as PNG."""
    rate = done.style.sample_rate
    assert rate is not None  # of the input, see Transfer
    transfer_figure(
        path,
        input=_excerpt(source, rate),
        reference=_excerpt(reference, rate),
        output=_excerpt(done.output, rate),
        sample_rate=rate,
        settings=[{**e, "config": f.config()} for f, e in zip(done.style.chain.effects, done.style.settings, strict=True)],
        title=f"{Path(source).name} in the style of {Path(reference).name}",
    )
