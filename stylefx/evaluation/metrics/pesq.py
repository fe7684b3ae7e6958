"""Wide-band PESQ through the optional package ``pesq``; it is meant for speech."""

from __future__ import annotations

import math

import numpy as np
import soxr

from stylefx.errors import UserError
from stylefx.extras import install_line

PESQ_RATE = 16000


def require_pesq() -> None:
    """UserError with the cure when the package is missing."""
    try:
        import pesq  # noqa: F401
    except ImportError as error:
        raise UserError(f"PESQ needs the package 'pesq', which is not installed: {install_line('eval')}") from error


def pesq_wideband(output: np.ndarray, target: np.ndarray, sample_rate: float) -> float:
    """PESQ of ``output`` with ``target`` as the clean reference, both (channels, samples), mixed down and resampled to 16 kHz.

    Returns 1.0..4.64, or NaN where PESQ finds no utterance, the signal is too short, or a sample is not finite.
    """
    require_pesq()
    from pesq import PesqError, pesq

    if not (np.isfinite(output).all() and np.isfinite(target).all()):
        return math.nan
    reference, degraded = (_at_16_khz(x, sample_rate) for x in (target, output))
    if not (reference.any() and degraded.any()):
        return math.nan
    value = float(pesq(PESQ_RATE, reference, degraded, "wb", on_error=PesqError.RETURN_VALUES))
    return value if math.isfinite(value) and value >= 1.0 else math.nan  # the package reports an error as -1


def _at_16_khz(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    mono = np.asarray(audio, np.float32).mean(axis=0)
    return mono if sample_rate == PESQ_RATE else soxr.resample(mono, sample_rate, PESQ_RATE, quality="HQ")
