"""Pairs of averages with a known curve between them: drawn from dry averages, a curve added to either side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stylefx.models.solver.averages import AveragesEncoder
from stylefx.training.warm_up.curves import CurveDraws
from stylefx.training.warm_up.store import DryAverages

_WINDOWS = 4  # a side is the mean of up to so many halves of a group
_PROCESSED = (0.15, 0.4)  # of inputs and of references, the share that went through the chain's other effects
_SMALL, _TOUCHED = 0.3, 0.4  # of drawn curves, and how often, where rendered styles are what is large
_ROOM_DB = 3.0  # deviation of the slow curves that both contents get, as if recorded elsewhere
Curves = Callable[[int], tuple[Tensor, Tensor]]


class CurvePairs:
    """(count) -> input, reference (count, D) and the true curve (count, points) dB between them.

    ``other_content`` is the share of references from another group; the others are a half of the same recording. Kinds, and
    groups within a kind, are drawn evenly. ``curves`` (count) -> what was done to the input and to the reference, (count, bands)
    dB each; ``rooms`` draws slow curves. Where the averages hold rendered styles, references are those, and of the drawn curves
    only small ones are added.
    """

    def __init__(
        self,
        averages: DryAverages,
        encoder: AveragesEncoder,
        curves: Curves,
        rooms: CurveDraws,
        other_content: float,
        seed: int,
    ):
        self.averages, self.rows, self.encoder, self.curves, self.rooms = averages, averages.rows, encoder, curves, rooms
        self.other_content = other_content
        self.reseed(seed)
        kinds = [list(groups.values()) for groups in averages.members.values() if groups]
        groups = [group for kind in kinds for group in kind]
        self._items = np.concatenate([np.asarray(group) for group in groups])  # those of a group side by side
        self._sizes = np.array([len(group) for group in groups])
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)[:-1]])
        self._groups = np.array([len(kind) for kind in kinds])  # of every kind
        self._firsts = np.concatenate([[0], np.cumsum(self._groups)[:-1]])

    def reseed(self, seed: int) -> None:
        """Go on as the seed says, so that a resumed run draws what an unbroken one would."""
        self.random = np.random.default_rng(seed)
        self.rooms.generator.manual_seed(seed >> 2)

    def fold(self, number: int, count: int, seed: int) -> tuple[CurvePairs, CurvePairs]:
        """Pairs of all groups but every ``count``-th, and of those alone."""
        parts: list[dict[str, dict[str, list[int]]]] = [{}, {}]
        for kind, groups in self.averages.members.items():
            for place, name in enumerate(sorted(groups)):
                parts[place % count == number].setdefault(kind, {})[name] = groups[name]
        kept, held = (replace(self.averages, members=part) for part in parts)
        rest = (self.encoder, self.curves, self.rooms, self.other_content, seed)
        return CurvePairs(kept, *rest), CurvePairs(held, *rest)

    def __call__(self, count: int, room_db: float = _ROOM_DB) -> tuple[Tensor, Tensor, Tensor]:
        first, second, done, other = self._contents(count)
        before, after = self.curves(count)
        if done is not None:
            before, after = (_SMALL * curve * self.rooms.chance(count, _TOUCHED) for curve in (before, after))
        apart = torch.from_numpy(other.astype(np.float32))[:, None]
        e_input = self.encoder.filtered(first, before + apart * self.rooms.smooth(count, room_db))
        e_reference = self.encoder.filtered(second, after + apart * self.rooms.smooth(count, room_db))
        return e_input, e_reference, after - before if done is None else done + after - before

    def _contents(self, count: int) -> tuple[Tensor, Tensor, Tensor | None, np.ndarray]:
        """Averages of both sides, (count, D) each; what was done to the reference already, (count, bands) dB, where styles were
        rendered; and whether the sides are of different groups, bool (count,)."""
        draw = self.random
        kind = draw.integers(0, len(self._groups), count)
        groups, first = self._groups[kind], self._firsts[kind]
        one = (draw.random(count) * groups).astype(int)
        step = 1 + (draw.random(count) * (groups - 1)).astype(int)
        other = (groups > 1) & (draw.random(count) < self.other_content)
        two = np.where(other, (one + step) % groups, one)
        versions = [(draw.random(count) < share).astype(int) for share in _PROCESSED]
        item, half = self._item(first + one), draw.integers(0, 2, count)
        chosen = torch.from_numpy(other)[:, None]
        if self.averages.styled.shape[1]:
            half = 1 - self.averages.styled_half[item]
        of_input = torch.where(chosen, self._mean(first + one, versions[0]), self.rows[item, half, versions[0]])
        if self.averages.styled.shape[1]:
            item = np.where(other, self._item(first + two), item)
            style = draw.integers(0, self.averages.styled.shape[1], count)
            return of_input, self.averages.styled[item, style], self.averages.styled_db[item, style], other
        of_reference = torch.where(chosen, self._mean(first + two, versions[1]), self.rows[item, 1 - half, versions[1]])
        return of_input, of_reference, None, other

    def _item(self, group: np.ndarray) -> np.ndarray:
        return self._items[self._starts[group] + (self.random.random(len(group)) * self._sizes[group]).astype(int)]

    def _mean(self, group: np.ndarray, version: np.ndarray) -> Tensor:
        """Of one to four halves of a group, (count, D)."""
        windows = self.random.integers(1, _WINDOWS + 1, len(group))
        total = torch.zeros(len(group), self.rows.shape[-1])
        for number in range(_WINDOWS):
            rows = self.rows[self._item(group), self.random.integers(0, 2, len(group)), version]
            total += torch.from_numpy((number < windows).astype(np.float32))[:, None] * rows
        return total / torch.from_numpy(windows.astype(np.float32))[:, None]
