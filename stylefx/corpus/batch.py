"""What a step of training is given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Batch:
    """Training items. Audio is float32 (batch, channels, samples); ``valid`` is 0 where an item only pads the batch.

    Where settings are drawn during training, ``dry`` and ``dry_reference`` come too: the half to be processed and the stretch
    that became the reference, both before any effect. ``reference_other`` (batch,) marks references of other content,
    ``nothing_to_do`` items whose input has the reference's style already. ``starts`` (batch,) is where the stretch begins
    that is rendered and compared; the encoder hears the whole halves.
    """

    keys: list[str]
    epochs: list[int]
    valid: np.ndarray
    input: np.ndarray | None = None
    target: np.ndarray | None = None
    reference: np.ndarray | None = None
    dry: np.ndarray | None = None
    dry_reference: np.ndarray | None = None
    starts: np.ndarray | None = None
    groups: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    reference_other: np.ndarray | None = None
    nothing_to_do: np.ndarray | None = None

    @property
    def is_placeholder(self) -> bool:
        """Whether no item counts: what stands where a batch did not come."""
        return not self.valid.any()

    def with_audio(self, arrays: dict[str, np.ndarray]) -> Batch:
        """The same items with these arrays, by the names above."""
        return replace(self, **cast("dict[str, Any]", arrays))


@dataclass(frozen=True)
class Marks:
    """What is known of an item beside its audio."""

    label: str = ""
    reference_other: bool = False
    nothing_to_do: bool = False
