"""What the encoders hear: log-spaced bands at fixed frequencies in Hz, and the dynamics on a short hop.

Both give the same rows for any sample rate. Everything here is computed in float32, whatever the precision of the network.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

_FLOOR_POWER = 1e-10  # -100 dB relative to a full-scale sine
_CENTRE_DB, _SCALE_DB = -60.0, 20.0
_places: dict[tuple[tuple[int, ...], torch.device], Tensor] = {}


def mid_side(audio: Tensor) -> tuple[Tensor, Tensor | None]:
    """audio (batch, channels, samples) -> mid and, for two channels, side, each (batch, samples)."""
    mid = audio.mean(dim=1)
    return mid, (audio[:, 0] - audio[:, 1]) / 2 if audio.shape[1] == 2 else None


def standardise_db(power: Tensor, floor_power: float = _FLOOR_POWER) -> Tensor:
    """Power -> (dB + 60) / 20, with a floor at -100 dB unless another is given: values of about -2..3."""
    return (10.0 * torch.log10(power + floor_power) - _CENTRE_DB) / _SCALE_DB


def band_matrix(num_bands: int, low_hz: float, high_hz: float, bins: int, sample_rate: float) -> tuple[Tensor, Tensor]:
    """Triangles on a logarithmic axis -> weights (bands, bins), each row of sum 1, and which bands exist at this rate.

    Between bins the spectrum is interpolated, so that bands narrower than a bin are defined too. A band exists when its
    centre is below the Nyquist frequency; the others have zero weights.
    """
    fine = 32
    step = math.log(high_hz / low_hz) / (num_bands - 1)
    hz = torch.linspace(0, sample_rate / 2, (bins - 1) * fine + 1, dtype=torch.float64)
    octaves = torch.log(hz.clamp_min(1e-3) / low_hz) / step
    place = torch.arange(len(hz), dtype=torch.float64) / fine
    below = place.floor().long().clamp_max(bins - 2)
    share = place - below
    rows = torch.arange(num_bands, dtype=torch.float64)[:, None]
    weights = torch.zeros(num_bands, bins, dtype=torch.float64)
    edges = torch.searchsorted(octaves, torch.arange(-1, num_bands + 1, dtype=torch.float64)).tolist()
    for row in range(num_bands):  # a triangle is narrow: outside of it there is nothing to add
        here = slice(max(edges[row] - 1, 0), edges[row + 2] + 1)
        triangle = (1 - (octaves[here] - row).abs()).clamp_min(0)
        weights[row].index_add_(0, below[here], triangle * (1 - share[here]))
        weights[row].index_add_(0, below[here] + 1, triangle * share[here])
    exists = low_hz * torch.exp(rows[:, 0] * step) < sample_rate / 2
    weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12) * exists[:, None]
    return weights.float(), exists.float()


class LogBands(nn.Module):
    """Audio (batch, samples) -> (batch, bands, frames): standardised level of log-spaced bands.

    The window is a Hann of ``window_s`` seconds at any rate, the hop ``hop_s`` seconds; levels are those of a sine of the
    band's frequency, so that they do not depend on the rate either. Bands above the Nyquist frequency hold the floor;
    ``exists`` tells which.
    """

    def __init__(
        self,
        num_bands: int,
        low_hz: float = 40.0,
        high_hz: float = 20000.0,
        window_s: float = 2048 / 24000,
        hop_s: float = 1024 / 24000,
    ):
        super().__init__()
        self.num_bands, self.low_hz, self.high_hz = num_bands, low_hz, high_hz
        self.window_s, self.hop_s = window_s, hop_s
        self._cache: dict[tuple[Any, ...], tuple[Tensor, Tensor, Tensor]] = {}

    def _tables(self, sample_rate: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Window (samples,), weights (bands, bins), exists (bands,) of a rate."""
        key = (float(sample_rate), str(device))
        if key not in self._cache:
            size = max(round(self.window_s * sample_rate), 16)
            bins = (1 << (size - 1).bit_length()) // 2 + 1
            window = torch.hann_window(size, dtype=torch.float64)
            weights, exists = band_matrix(self.num_bands, self.low_hz, self.high_hz, bins, sample_rate)
            window = (2 * window / window.sum()).float()
            with torch.inference_mode(False):  # whoever trains later may use them too
                self._cache[key] = window.clone().to(device), weights.clone().to(device), exists.clone().to(device)
        return self._cache[key]

    def exists(self, sample_rate: float, device: torch.device) -> Tensor:
        return self._tables(sample_rate, device)[2]

    def power(self, audio: Tensor, sample_rate: float) -> Tensor:
        """(batch, samples) -> band powers (batch, bands, frames)."""
        window, weights, _ = self._tables(sample_rate, audio.device)
        size = 2 * (weights.shape[1] - 1)
        if audio.shape[-1] <= size // 2:  # too short to reflect
            audio = nn.functional.pad(audio, (0, size // 2 + 1 - audio.shape[-1]))
        hop = max(round(self.hop_s * sample_rate), 1)
        spectrum = torch.stft(audio, size, hop, window.numel(), window, center=True, return_complex=True)
        squares = torch.view_as_real(spectrum).square()
        return weights @ (squares[..., 0] + squares[..., 1])

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        return standardise_db(self.power(audio, sample_rate))


def average_spectrum(power: Tensor, floor_power: float = _FLOOR_POWER) -> Tensor:
    """Band powers (batch, bands, frames) -> (batch, 3 x bands): level of the mean power, mean level, spread of the level."""
    level, of_mean = standardise_db(power, floor_power), standardise_db(power.mean(dim=-1), floor_power)
    return torch.cat([of_mean, level.mean(dim=-1), level.std(dim=-1, correction=0)], dim=1)


def quantiles(x: Tensor, probabilities: tuple[float, ...]) -> Tensor:
    """(batch, n) -> (batch, len(probabilities)), nearest rank."""
    ranks = [round(p * (x.shape[-1] - 1)) for p in probabilities]
    if len(ranks) < 4 and x.device.type == "cpu":  # selecting is faster than sorting
        return torch.stack([x.kthvalue(rank + 1, dim=-1).values for rank in ranks], dim=-1)
    key = (tuple(ranks), x.device)
    if key not in _places:  # copied to the device once: an index in Python would make the host wait for it every time
        with torch.inference_mode(False):  # whoever trains later may use it too
            _places[key] = torch.tensor(ranks, device=x.device)
    return x.sort(dim=-1).values.index_select(-1, _places[key])


class Dynamics(nn.Module):
    """Audio (batch, samples) -> (batch, ``size``): what a compressor changes, on a hop of 2.5 ms.

    Percentiles of the block level and of the block peak, crest factor of 40 ms stretches, and for lags of 2.5 to 160 ms how
    fast the level rises and falls (a spectrogram's hop of 43 ms cannot see an attack of 1 ms).
    """

    hop_s = 0.0025
    lags = (1, 2, 4, 8, 16, 32, 64)
    levels = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
    num_levels = 2 * len(levels)  # numbers that grow with the level come first
    size = num_levels + 5 + 4 * len(lags)

    def blocks(self, audio: Tensor, sample_rate: float) -> tuple[Tensor, Tensor]:
        """Standardised level and peak of every block, (batch, blocks) each."""
        hop = max(round(self.hop_s * sample_rate), 1)
        count = audio.shape[-1] // hop
        if count < 2 * self.lags[-1]:  # very short audio is repeated until every lag exists
            repeats = -(-2 * self.lags[-1] * hop // max(audio.shape[-1], 1))
            return self.blocks(audio.repeat(1, repeats + 1), sample_rate)
        x = audio[:, : count * hop].unflatten(-1, (count, hop))
        power = torch.linalg.vector_norm(x, dim=-1).square() / hop  # several times faster than a mean of squares
        return standardise_db(2 * power), standardise_db(x.abs().amax(dim=-1).square())

    def forward(self, audio: Tensor, sample_rate: float) -> Tensor:
        level, peak = self.blocks(audio, sample_rate)
        out = [quantiles(level, self.levels), quantiles(peak, self.levels)]
        n = level.shape[-1] // 16 * 16
        stretch_peak = peak[:, :n].unflatten(-1, (-1, 16)).amax(dim=-1)
        power = torch.pow(10.0, level[:, :n] * (_SCALE_DB / 10)).unflatten(-1, (-1, 16)).mean(dim=-1)
        crest = stretch_peak - torch.log10(power) * (10 / _SCALE_DB)
        out += [
            crest.mean(dim=-1, keepdim=True),
            crest.std(dim=-1, keepdim=True, correction=0),
            quantiles(crest, (0.1, 0.5, 0.9)),
        ]
        for lag in self.lags:
            change = level[:, lag:] - level[:, :-lag]
            out += [change.clamp_min(0).mean(dim=-1, keepdim=True), change.clamp_max(0).mean(dim=-1, keepdim=True)]
            out.append(quantiles(change, (0.05, 0.95)))
        return torch.cat(out, dim=1)
