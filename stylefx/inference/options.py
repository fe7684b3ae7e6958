"""How a style is applied: everything that may be wished of one transfer."""

from __future__ import annotations

from dataclasses import dataclass

from stylefx.errors import UserError
from stylefx.inference.choices import (
    DEFAULT_CEILING_DBTP,
    DEFAULT_PEAK_REDUCTION_DB,
    DEFAULT_WINDOWS,
    LOUDNESS_WORDS,
    MAX_INTENSITY,
)
from stylefx.inference.rendering.loudness import Loudness
from stylefx.models.intents import TOWARDS


@dataclass(frozen=True)
class TransferOptions:
    """``intensity`` 0..1.5 scales the style, ``amounts`` (("equaliser", 0.5), ...) parts of it; ``refine_steps`` > 0 improves the
    prediction by gradient steps, ``refine_to`` says towards what ("belief", "references", "between"; None: as the intent asks).
    ``weights`` are those of the references, ``tone_weights`` and ``dynamics_weights`` take their place for a part of the effects.

    ``loudness`` is "reference" (their loudness), "input", "as-is" (as the chain leaves it) or a target in LUFS; ``ceiling_dbtp``
    None leaves peaks alone, ``peaks`` holds them by "limiter" (which takes ``peak_reduction_db`` at most), "gain" or "none".
    ``bits`` is "16", "24", "float" or None (as fits the input); ``windows`` is how many are listened to per recording.
    ``intent`` is "style" (do what was done to the references), "balance" (make the average spectrum and dynamics theirs) or None
    for the model's first; a model that knows one answer takes None only.
    """

    weights: tuple[float, ...] = ()
    intensity: float = 1.0
    refine_steps: int = 0
    refine_to: str | None = None
    loudness: str | float = "reference"
    ceiling_dbtp: float | None = DEFAULT_CEILING_DBTP
    peaks: str = "limiter"
    peak_reduction_db: float = DEFAULT_PEAK_REDUCTION_DB
    bits: str | None = None
    windows: int = DEFAULT_WINDOWS
    intent: str | None = None
    amounts: tuple[tuple[str, float], ...] = ()
    tone_weights: tuple[float, ...] = ()
    dynamics_weights: tuple[float, ...] = ()

    def check(self) -> None:
        """UserError for a value that makes no sense, whatever the recordings and the model."""
        if not 0.0 <= self.intensity <= MAX_INTENSITY:
            raise UserError(f"intensity is {self.intensity}; give a number in 0..{MAX_INTENSITY}")
        if self.windows < 1:
            raise UserError(f"{self.windows} windows cannot be listened to; give 1 or more")
        if self.refine_steps < 0:
            raise UserError(f"refine is {self.refine_steps}; give a number of steps, 0 or more")
        if self.refine_to is not None and self.refine_to not in TOWARDS:
            raise UserError(f"refine_to is {self.refine_to!r}; give {' or '.join(TOWARDS)}")
        if self.refine_to and not self.refine_steps:
            raise UserError(f"refine_to is {self.refine_to!r}, and no step is asked for; give refine_steps (--refine) too")
        if isinstance(self.loudness, str) and self.loudness not in LOUDNESS_WORDS:
            raise UserError(f"loudness is {self.loudness!r}; give {', '.join(LOUDNESS_WORDS)} or a number in LUFS")
        self.last_stage()

    def last_stage(self) -> Loudness:
        """What is wished of the peaks, no loudness yet."""
        return Loudness(None, self.ceiling_dbtp, self.peaks, self.peak_reduction_db)
