"""What a reading process is told, and what it tells: small pickles through a pipe between processes of one program."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from stylefx.corpus.batch import Batch
from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.loader import TrainingLoader
from stylefx.errors import DamageError


@dataclass(frozen=True)
class Job:
    """Of a rank's micro-batches those numbered ``first``, ``first + every``, ...; ``sequence`` says what a ``TrainingLoader``
    needs to list them. ``slots`` are made at once, by ``threads``. Not ``tolerant``: a batch ends at its first damaged sample."""

    sequence: dict[str, Any]
    first: int
    every: int
    threads: int
    slots: int
    tolerant: bool

    def positions(self, data: TrainingSet) -> Iterator[range]:
        return islice(TrainingLoader(data, **self.sequence).positions(), self.first, None, self.every)


@dataclass(frozen=True)
class Made:
    """A batch whose audio lies in its slot: what else is known of it, the damage that was met in it, in order, and the error that
    ended it instead."""

    facts: Batch | None = None
    damage: list[tuple[str, DamageError]] = field(default_factory=list)
    error: BaseException | None = None


def sendable(error: BaseException) -> BaseException:
    """The error with its traceback as a note, or what says the same where it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        if str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    except Exception:  # noqa: BLE001 - of foreign classes, which may ask for any arguments
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")
