"""Which split a group belongs to: a function of its name, so that adding data never moves what was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.manifest.model import Manifest, Split
from stylefx.corpus.schema import SPLITS
from stylefx.errors import UserError
from stylefx.keyed import unit
from stylefx.nearest import did_you_mean


def split_codes(groups: Sequence[str], split: Split, forced: Mapping[str, str]) -> np.ndarray:
    """Index into SPLITS for every group, int8. ``forced`` are the groups of sources that go into one split as a whole."""
    pins = {g: s for s in SPLITS for g in getattr(split, s)}
    for group, name in forced.items():
        if pins.setdefault(group, name) != name:
            raise UserError(
                f"group {group!r} is pinned to {pins[group]}, but a source that holds it goes to {name}; change one of the two"
            )
    codes = {name: i for i, name in enumerate(SPLITS)}
    test, val = split.fractions.test, split.fractions.test + split.fractions.val
    out = np.empty(len(groups), np.int8)
    for i, group in enumerate(groups):
        pinned = pins.get(group)
        if pinned is None:
            x = unit("split", split.salt, group)
            pinned = "test" if x < test else "val" if x < val else "train"
        out[i] = codes[pinned]
    return out


def check_pins(split: Split, groups: Sequence[str]) -> None:
    """UserError for a pinned group that does not exist, with the near miss."""
    known = set(groups)
    for name in SPLITS:
        for group in getattr(split, name):
            if group not in known:
                some = ", ".join(sorted(known)[:8])
                hint = did_you_mean(group, known, f"there are {some}{', ...' if len(known) > 8 else ''}")
                raise UserError(f"split.{name} pins the group {group!r}, which no recording has{hint}")


def requested_splits(manifest: Manifest) -> list[str]:
    """Splits that must not come out empty: those with a fraction, a pin or a source."""
    split = manifest.split
    whole = {s.split for s in manifest.sources}
    return [s for s in SPLITS if getattr(split.fractions, s) > 0 or getattr(split, s) or s in whole]


def check_filled(manifest: Manifest, samples: Mapping[str, int], groups: Mapping[str, int], without: str = "") -> None:
    """UserError where a requested split came out empty. ``without``: what is to be said of recordings without a group."""
    for name in requested_splits(manifest):
        if not samples.get(name):
            have = ", ".join(f"{groups.get(s, 0)} in {s}" for s in SPLITS)
            why = "its groups gave no sample" if groups.get(name) else "no group fell into it"
            raise UserError(
                f"the split {name!r} came out empty: {why} (groups: {have}); pin groups in split.{name}, "
                f"use finer groups, or set split.fractions.{name} to 0{'; ' * bool(without)}{without}"
            )
