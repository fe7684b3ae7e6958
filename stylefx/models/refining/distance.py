"""How far two sets of windows are from another in what production changes: average spectrum and dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from stylefx.models.features import Dynamics, LogBands, average_spectrum

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel

_BANDS = 64
_DB = 20.0  # features are in units of 20 dB


class StyleDistance(nn.Module):
    """Mean absolute differences in dB between the averaged features of two sets of windows. Bands below ``floor_db`` are alike:
    at -100 dB what nobody hears; further down, what equalisers do to the pauses of a recording that was kept in float."""

    def __init__(self, sample_rate: float, floor_db: float = -100.0):
        super().__init__()
        self.sample_rate, self.floor_power = sample_rate, 10 ** (floor_db / 10)
        self.bands, self.dynamics = LogBands(_BANDS), Dynamics()

    @classmethod
    def as_heard_by(cls, model: StyleTransferModel) -> StyleDistance:
        """With the floor of the model's encoder, where it has one."""
        return cls(float(model.sample_rate), getattr(model.encoder, "floor_db", -100.0))

    def features(self, audio: Tensor, share: Tensor) -> dict[str, Tensor]:
        """audio (windows, channels, samples), share (windows,) of sum 1 -> averaged features, one row each."""
        mono = audio.mean(dim=1)
        power = self.bands.power(mono, self.sample_rate)
        audible = self.bands.exists(self.sample_rate, audio.device).bool().repeat(3)
        rows = {
            "spectrum": average_spectrum(power, self.floor_power)[:, audible],
            "dynamics": self.dynamics(mono, self.sample_rate),
        }
        return {name: (share[:, None] * row).sum(0) for name, row in rows.items()}

    def forward(self, a: dict[str, Tensor], b: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: _DB * (a[name] - b[name]).abs().mean() for name in a}
