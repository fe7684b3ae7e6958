"""What the gain after the chain must reach, and what came of it: wishes, and a report that says what was missed and why."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from stylefx.errors import UserError
from stylefx.inference.choices import DEFAULT_CEILING_DBTP, DEFAULT_PEAK_REDUCTION_DB, PEAKS

MET_WITHIN_LU = 0.5


@dataclass(frozen=True)
class Loudness:
    """What the output must be like. ``target_lufs`` None: as loud as the chain leaves it; ``ceiling_dbtp`` None: no guard
    (fixed-point files are still kept below full scale).

    ``peaks``: "limiter", "gain" (the whole is lowered) or "none". The limiter takes ``max_reduction_db`` at most; where the
    output would be quieter by more than ``at_most_below_db`` than the quieter of input and target, it takes what that needs.
    """

    target_lufs: float | None = None
    ceiling_dbtp: float | None = DEFAULT_CEILING_DBTP
    peaks: str = "limiter"
    max_reduction_db: float = DEFAULT_PEAK_REDUCTION_DB
    at_most_below_db: float | None = None

    def __post_init__(self) -> None:
        if self.peaks not in PEAKS:
            raise UserError(f"peaks are {self.peaks!r}; give {', '.join(PEAKS)}")
        if not 0.0 <= self.max_reduction_db <= 24.0:
            raise UserError(f"the limiter may take {self.max_reduction_db:g} dB; give a number of dB in 0..24")

    @property
    def ceiling_db(self) -> float:
        """The highest true peak, dB; infinite where there is none."""
        return math.inf if self.ceiling_dbtp is None or self.peaks == "none" else self.ceiling_dbtp


@dataclass(frozen=True)
class LoudnessReport:
    """``missed_lu`` is reached - target, None where nothing was asked or loudness is not defined; ``why`` is empty when met."""

    target_lufs: float | None
    reached_lufs: float | None
    missed_lu: float | None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        """One line where something was missed, else empty."""
        if not self.why or self.target_lufs is None:
            return ""
        if self.missed_lu is None:
            return f"loudness: {self.target_lufs:.1f} LUFS asked, not met: {self.why}"
        way = "quieter" if self.missed_lu < 0 else "louder"
        return (
            f"loudness: {self.target_lufs:.1f} LUFS asked, {self.reached_lufs:.1f} reached, {abs(self.missed_lu):.1f} LU {way}: "
            f"{self.why}"
        )


def report(wanted: Loudness, reached_lufs: float, why_held: str) -> LoudnessReport:
    """``why_held``: what kept the gain from going further."""
    reached = reached_lufs if math.isfinite(reached_lufs) else None
    if wanted.target_lufs is None:
        return LoudnessReport(None, reached, None)
    if reached is None:
        what = "it is silent" if reached_lufs == -math.inf else "it is shorter than 0.4 s, for which no loudness is defined"
        return LoudnessReport(wanted.target_lufs, None, None, f"{what}; no gain was applied")
    missed = reached - wanted.target_lufs
    return LoudnessReport(wanted.target_lufs, reached, missed, why_held if abs(missed) > MET_WITHIN_LU else "")
