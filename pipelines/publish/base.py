"""What publishing asks of a place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pipelines.publish.pieces import Piece, Shipment


class Destination(ABC):
    """``where`` is the address without credentials."""

    where: str
    batch = 1  # groups that are put together

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A small file that is there; None where there is none."""

    @abstractmethod
    def held(self, corpus: Shipment) -> set[str]:
        """The names of pieces that are there with this content."""

    @abstractmethod
    def put(self, corpus: Shipment, pieces: Sequence[Piece], what: str) -> None:
        """Upload the pieces in their order."""
