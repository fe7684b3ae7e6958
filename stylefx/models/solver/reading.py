"""What the solver reads out of two rows of averages: shapes of spectra without their level, and their plain difference."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stylefx.models.features import Dynamics
from stylefx.models.solver.averages import AveragesEncoder, held

_HIGHEST = 0.45  # of the sample rate: above it a filter's response is bent by the rate
_LEVEL_DB = 20.0  # a unit of the averages
_SAME_DB, _APART_DB = 0.5, 2.0


class Reading(nn.Module):
    """Averages of input and reference (batch, D) -> normalised features and difference of spectra at ``points_hz``.

    ``measure`` sets the statistics (means and deviations) that normalise; before it they are those of plain units.
    """

    mean: Tensor
    deviation: Tensor
    difference_deviation: Tensor
    half_scale_db: Tensor
    widths: Tensor

    def __init__(self, encoder: AveragesEncoder, sample_rate: float):
        super().__init__()
        self.bands, self.spectrum, self.motion = encoder.num_bands, encoder.spectrum, encoder.motion
        self._filtered, first = encoder.filtered, encoder.dynamics.start
        self._levels = slice(first, first + Dynamics.num_levels)
        centres = encoder.centres_hz
        self.points = int((centres < _HIGHEST * sample_rate).sum())
        self.points_hz = centres[: self.points]
        self.register_buffer("widths", self.points_hz.float(), persistent=False)  # of the bands, but for a factor
        rows = encoder.embedding_size
        self.shape_size, self.full_size = 3 * self.motion.stop, 3 * rows
        self.register_buffer("mean", torch.zeros(rows))
        self.register_buffer("deviation", torch.ones(rows))
        self.register_buffer("difference_deviation", torch.ones(rows))
        self.register_buffer("half_scale_db", torch.ones(self.points))

    @torch.no_grad()
    def measure(self, e_input: Tensor, e_reference: Tensor) -> None:
        """Take the statistics of items (n, D): of both sides, and of their difference."""
        rows = torch.cat([self._levelled(e_input), self._levelled(e_reference)])
        self.mean.copy_(rows.mean(0))
        self.deviation.copy_(rows.std(0).clamp_min(0.02))
        difference = self._levelled(e_reference) - self._levelled(e_input)
        self.difference_deviation.copy_(difference.std(0).clamp_min(0.02))

    @torch.no_grad()
    def measure_halves(self, first: Tensor, second: Tensor) -> None:
        """How far halves of one recording (n, D) each are from another, dB (points,): what a plain difference may be wrong by."""
        apart = self.difference_db(first, second).abs().mean(0)
        self.half_scale_db.copy_(apart)

    def shapes(self, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """Spectra and motion of both and their difference: what an equaliser answers to. (batch, ``shape_size``)"""
        return self._shapes(self._levelled(e_input), self._levelled(e_reference))

    def beside_the_mean(self, rows: Tensor) -> Tensor:
        """``shapes`` of a reference where the input is the mean of what ``measure`` saw, (batch, ``shape_size``)."""
        return self._shapes(self.mean.expand_as(rows), self._levelled(rows))

    def full(self, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """All numbers of both and their difference, (batch, ``full_size``)."""
        return self._normalised(self._levelled(e_input), self._levelled(e_reference))

    def _shapes(self, a: Tensor, b: Tensor) -> Tensor:
        return self._normalised(a, b).unflatten(-1, (3, -1))[..., : self.motion.stop].flatten(1)

    def _normalised(self, a: Tensor, b: Tensor) -> Tensor:
        rows = [(a - self.mean) / self.deviation, (b - self.mean) / self.deviation, (b - a) / self.difference_deviation]
        return torch.cat([row.clamp(-4.0, 4.0) for row in rows], dim=-1)

    def difference_db(self, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """Level of the reference's mean spectrum over the input's, without its mean, dB (batch, points).

        A band that the input hardly contains cannot be raised: there the difference fades to that of the bands beside.
        """
        a, b = (e[:, : self.points] for e in (e_input, e_reference))
        heard = held(a)
        difference = _LEVEL_DB * (b - a)
        difference = difference - (heard * difference).sum(-1, keepdim=True) / heard.sum(-1, keepdim=True).clamp_min(1e-3)
        return _filled(difference, heard).clamp(-40.0, 40.0)

    def equalised(self, rows: Tensor, response_db: Tensor) -> Tensor:
        """Averages (batch, D) after an equaliser of this response (batch, ``points``): spectra, and levels over time as far as
        the whole gets louder or softer."""
        beyond = self.bands - self.points
        curve = torch.cat([response_db, response_db[:, -1:].expand(-1, beyond)], dim=-1)
        raised = self._filtered(rows, curve)
        louder = self._power_level(raised) - self._power_level(rows)
        levels = raised[:, self._levels] + louder
        return torch.cat([raised[:, : self._levels.start], levels, raised[:, self._levels.stop :]], dim=-1)

    def loudness_apart(self, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """Level of the reference's power over the input's, in units of 20 dB, (batch, 1)."""
        return (self._power_level(e_reference) - self._power_level(e_input)).clamp(-2.0, 2.0)

    def _power_level(self, rows: Tensor) -> Tensor:
        """Of the sum of all bands, each as wide as its frequency says; units of 20 dB, (batch, 1)."""
        power = torch.pow(10.0, rows[:, : self.points] * (_LEVEL_DB / 10)) * self.widths.to(rows.dtype)
        return torch.log10(power.sum(-1, keepdim=True)) * (10 / _LEVEL_DB)

    def apart(self, e_input: Tensor, e_reference: Tensor) -> Tensor:
        """0 where the averages of both are the same, 1 where they differ as recordings do, (batch, 1): what does not differ is to
        be left alone. Spectrum or dynamics, whichever differs more."""
        spectrum = self.difference_db(e_input, e_reference).abs().mean(-1, keepdim=True)
        dynamics = _LEVEL_DB * (e_reference - e_input)[:, self.motion.stop :].abs().mean(-1, keepdim=True)
        return ((torch.maximum(spectrum, dynamics) - _SAME_DB) / (_APART_DB - _SAME_DB)).clamp(0.0, 1.0)

    def _levelled(self, rows: Tensor) -> Tensor:
        """Levels of the spectra relative to their own mean; everything else as it is."""
        level = self.loudness(rows)
        n = self.bands
        quantiles = n // 4 * 3
        moved = [rows[:, : 2 * n] - level, rows[:, 2 * n : 3 * n], rows[:, 3 * n : 3 * n + quantiles] - level]
        return torch.cat([*moved, rows[:, 3 * n + quantiles :]], dim=-1)

    def loudness(self, rows: Tensor) -> Tensor:
        """Mean level of the bands that are heard, (batch, 1)."""
        level = rows[:, : self.points]
        heard = held(level)
        return (heard * level).sum(-1, keepdim=True) / heard.sum(-1, keepdim=True).clamp_min(1e-3)


def _filled(curve: Tensor, weight: Tensor, octaves: float = 0.5) -> Tensor:
    """Where the weight is small: the weighted mean of the points around, the nearer the more."""
    points = curve.shape[-1]
    place = torch.arange(points, device=curve.device, dtype=curve.dtype)
    near = torch.exp(-(place[:, None] - place[None, :]).abs() / (octaves * 9.0 / math.log2(math.e)))
    around = ((weight * curve) @ near) / ((weight + 1e-4) @ near)
    return weight * curve + (1 - weight) * around
