"""``averages``: what production changes and a performance hardly does, as plain numbers; nothing is learned here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylefx.models.encoder import Encoder
from stylefx.models.features import Dynamics, LogBands, average_spectrum, mid_side, standardise_db

_COARSE = 4  # bands that are taken together for what varies over time
_QUANTILES = (0.05, 0.5, 0.95)
_LAGS = (1, 2, 4)  # frames of 43 ms
_UNIT_DB, _CENTRE_DB = 20.0, -60.0  # of levels, see standardise_db
_HELD_DB, _SOFT_DB = 62.0, 4.0  # below the loudest band: what is further down is noise or nothing


class AveragesEncoder(Encoder):
    """Audio (batch, channels, samples), any rate -> (batch, ``embedding_size``), levels in units of 20 dB above -60 dBFS.

    In this order, of the mix of the channels: level of the mean power, mean level and spread of the level of ``num_bands``
    log-spaced bands from 40 Hz to 20 kHz (``spectrum``); quantiles and the mean rise and fall over 43 to 171 ms of bands taken
    by fours (``motion``); levels, peaks, crest factors, rises and falls of the whole signal on a hop of 2.5 ms (``dynamics``).
    Bands above the Nyquist frequency hold the floor of ``floor_db`` (a low one shows what equalisers do to the noise of a pause,
    which only recordings kept in float have). The mean over windows is the embedding of them all.
    """

    name = "averages"
    memory_copies = 14

    def __init__(self, num_bands: int = 80, floor_db: float = -100.0):
        super().__init__()
        if num_bands % _COARSE:
            raise ValueError(f"num_bands is {num_bands}; give a multiple of {_COARSE}")
        self.num_bands, self.floor_db = num_bands, floor_db
        self._floor_power, self._floor = 10 ** (floor_db / 10), (floor_db - _CENTRE_DB) / _UNIT_DB
        self.bands, self.levels = LogBands(num_bands), Dynamics()
        motion = num_bands // _COARSE * (len(_QUANTILES) + 2 * len(_LAGS))
        self.embedding_size = 3 * num_bands + motion + Dynamics.size
        self.spectrum = slice(0, 3 * num_bands)
        self.motion = slice(3 * num_bands, 3 * num_bands + motion)
        self.dynamics = slice(3 * num_bands + motion, self.embedding_size)

    @property
    def centres_hz(self) -> Tensor:
        """Centre frequencies of the bands, (num_bands,)"""
        return (
            torch.logspace(0, 1, self.num_bands, self.bands.high_hz / self.bands.low_hz, dtype=torch.float64) * self.bands.low_hz
        )

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        with torch.autocast(audio.device.type, enabled=False):
            mid, _ = mid_side(audio.float())
            power = self.bands.power(mid, sample_rate)
            return torch.cat(
                [average_spectrum(power, self._floor_power), self._motion(power), self.levels(mid, sample_rate)], dim=1
            )

    def _motion(self, power: Tensor) -> Tensor:
        """Band powers (batch, bands, frames) -> how the level of coarse bands is spread and moves, (batch, bands / 4 x 9)."""
        level = standardise_db(power.unflatten(1, (-1, _COARSE)).mean(dim=2), self._floor_power)
        frames = level.shape[-1]
        ranked = level.sort(dim=-1).values
        parts = [ranked[..., round(p * (frames - 1))] for p in _QUANTILES]
        for lag in _LAGS:
            change = level[..., lag:] - level[..., :-lag] if frames > lag else torch.zeros_like(level)
            parts += [change.clamp_min(0).mean(dim=-1), change.clamp_max(0).mean(dim=-1)]
        return torch.cat(parts, dim=1)

    def pool(self, embeddings: Tensor, share: Tensor) -> Tensor:
        """Numbers are averaged as they are."""
        return (share.to(embeddings)[:, None] * embeddings).sum(0)

    def filtered(self, rows: Tensor, curve_db: Tensor) -> Tensor:
        """Averages (batch, D) as an equaliser of ``curve_db`` (batch, num_bands) leaves them, but for ``dynamics``: levels move
        with the curve, spreads and movements stay."""
        n, coarse = self.num_bands, self.num_bands // _COARSE
        curve = curve_db.to(rows) / _UNIT_DB
        by_fours = curve.unflatten(-1, (coarse, _COARSE)).mean(-1).repeat(1, len(_QUANTILES))
        levels = (rows[:, : 2 * n] + curve.repeat(1, 2)).clamp_min(self._floor)
        quantiles = (rows[:, 3 * n : 3 * n + by_fours.shape[1]] + by_fours).clamp_min(self._floor)
        return torch.cat([levels, rows[:, 2 * n : 3 * n], quantiles, rows[:, 3 * n + by_fours.shape[1] :]], dim=1)

    def distance_db(self, rows: Tensor, others: Tensor) -> Tensor:
        """Mean absolute differences in dB, (batch,): of the spectra's levels in bands that ``others`` hold, and of dynamics."""
        n = self.num_bands
        share = held(others[:, :n])
        spectrum = ((rows - others)[:, :n].abs() * share).sum(-1) / share.sum(-1)
        return _UNIT_DB * (spectrum + (rows - others)[:, self.dynamics].abs().mean(-1)) / 2

    def options(self) -> dict[str, Any]:
        return {"num_bands": self.num_bands, "floor_db": self.floor_db}


def held(level: Tensor) -> Tensor:
    """Levels of bands in units of 20 dB (batch, bands) -> 1 where they are near the loudest, 0 far below, (batch, bands)."""
    below = _UNIT_DB * (level.amax(dim=-1, keepdim=True) - level)
    return torch.sigmoid((_HELD_DB - below) / _SOFT_DB)
