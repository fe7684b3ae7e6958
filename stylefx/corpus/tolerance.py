"""Damaged data: stop at the first sample, or pass over a share of them, count and name them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from stylefx.errors import DamageError


def refuse_unsound(audio: dict[str, np.ndarray], key: str, where: object, shape: tuple[int, int]) -> None:
    """DamageError where a sample has another (channels, samples) than its corpus says, or values that are no numbers."""
    for name, values in audio.items():
        if values.shape != shape:
            raise DamageError(f"{key} of {where} has {values.shape} values in its {name}, not {shape}; run stylefx-pipe verify")
        if not np.isfinite(values).all():
            raise DamageError(f"{key} of {where} has values that are not finite in its {name}; run stylefx-pipe verify")


class Findings:
    """What a reader that does not decide finds, [(name, error)] in order. ``tolerant`` False: the first one is raised, too."""

    def __init__(self, tolerant: bool):
        self.tolerant = tolerant
        self.found: list[tuple[str, DamageError]] = []

    def pass_over(self, name: str, error: DamageError) -> None:
        self.found.append((name, error))
        if not self.tolerant:
            raise error


class Tolerance:
    """What of ``total`` samples may be passed over: up to ``max_share`` of them, at least one where that is not 0. Safe from
    several threads.

    ``known``: those of which a resumed run knows already.
    """

    def __init__(self, max_share: float = 0.0, total: int = 0, known: Iterable[str] = ()):
        self.max_share, self.total = max_share, total
        self._names, self._new = set(known), dict[str, str]()
        self._lock = threading.Lock()

    def pass_over(self, name: str, error: DamageError) -> None:
        """Count a sample; the error is raised where that is one too many."""
        with self._lock:
            if name not in self._names:
                self._names.add(name)
                self._new[name] = str(error)
        self._check(error)

    def _check(self, error: DamageError) -> None:
        if not self.max_share:
            raise error
        if len(self._names) > max(1.0, self.max_share * self.total):
            raise DamageError(
                f"{len(self._names)} of {self.total} samples are damaged, more than data.max_damaged_share {self.max_share:g}; "
                f"the last one: {error}"
            )

    def news(self) -> dict[str, str]:
        """{name: reason} of what was passed over since the last call."""
        with self._lock:
            found, self._new = self._new, {}
        return found

    def learn(self, others: dict[str, str]) -> None:
        """What other ranks passed over; DamageError where that is too much together."""
        with self._lock:
            self._names |= set(others)
        if others:
            self._check(DamageError(next(iter(others.values()))))

    @property
    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._names)
