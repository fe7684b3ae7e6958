"""Which recordings give samples, and why the others do not: each is left out for the first reason that holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.catalog import filters
from pipelines.catalog.recordings import Recordings, read_fingerprints
from pipelines.manifest.model import Manifest
from pipelines.plan.choice.growth import splits_of
from pipelines.plan.choice.near import all_but_one, like_earlier, torn
from pipelines.plan.place import TOO_SHORT
from pipelines.plan.tapes import corpus_frames
from stylefx.licences import licence_wanted

_EXAMPLES = 3


@dataclass
class Chosen:
    """Recordings that may give samples: their rows, and of every recording the split (by its group) and why it is out."""

    rows: np.ndarray
    group_split: np.ndarray
    rejected: Counter[str]
    examples: dict[str, list[str]]


class _Kept:
    """What is kept so far, and what was dropped for which reason."""

    def __init__(self, recordings: Recordings):
        self.recordings, self.keep = recordings, np.ones(len(recordings), bool)
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def drop(self, bad: np.ndarray, reason: str) -> None:
        rows = np.flatnonzero(self.keep & bad)
        self.rejected[reason] += len(rows)
        if len(rows):
            self.examples.setdefault(reason, []).extend(self.recordings.name(i) for i in rows[:_EXAMPLES])
        self.keep[bad] = False


@dataclass
class Past:
    """What earlier generations decided: the recordings that they gave samples from (identities, contents, fingerprints by name),
    and the split of each group. What they left out, by their filters, is free."""

    identities: list[np.ndarray] = field(default_factory=list)
    contents: list[np.ndarray] = field(default_factory=list)
    fingerprints: list[dict[str, bytes]] = field(default_factory=list)
    splits: dict[str, int] = field(default_factory=dict)

    def add(self, recordings: Recordings, rows: np.ndarray, catalog: str | Path, fingerprinted: bool) -> None:
        """One more generation: the rows of its catalog that it used."""
        self.identities.append(recordings.identity[rows])
        self.contents.append(recordings.content[rows])
        if fingerprinted:
            used = {recordings.name(int(i)) for i in rows}
            self.fingerprints.append({name: found for name, found in read_fingerprints(catalog).items() if name in used})


def choose(manifest: Manifest, recordings: Recordings, past: Past | None = None, catalog_path: str | Path = "") -> Chosen:
    """Leave out what cannot or must not be used, each for the first reason that holds."""
    past = past or Past()
    kept = _Kept(recordings)
    readable = np.array([name == "" for name in recordings.error.names], bool)
    kept.drop(~readable[recordings.error.codes], filters.UNREADABLE)
    named = np.array([name != "" for name in recordings.group.names], bool)
    kept.drop(~named[recordings.group.codes], filters.NO_GROUP)
    for identity in past.identities:
        kept.drop(np.isin(recordings.identity, identity), filters.SAME_AS_EARLIER)
    if manifest.licences:
        wanted = np.array([licence_wanted(name, manifest.licences) for name in recordings.licence.names], bool)
        kept.drop(~wanted[recordings.licence.codes], filters.LICENCE)
    columns = {**recordings.extra, "sample_rate": recordings.sample_rate}
    columns["duration_s"] = recordings.frames / np.maximum(recordings.sample_rate, 1)
    codes, reasons = filters.threshold_reasons(manifest.filters, columns)
    for i, reason in enumerate(reasons):
        kept.drop(codes == i, reason)
    kept.drop(_repeats(recordings, kept.keep, past.contents), filters.DUPLICATE)
    kept.drop(corpus_frames(recordings.frames, recordings.sample_rate, manifest.segment.sample_rate) < 1, TOO_SHORT)
    if manifest.near_duplicates != "ignore" and any(past.fingerprints):
        kept.drop(_like_earlier(kept, catalog_path, past.fingerprints), filters.NEAR_EARLIER)
    if manifest.near_duplicates == "drop":
        kept.drop(all_but_one(recordings, kept.keep), filters.NEAR)
    group_split = splits_of(manifest, recordings, kept.keep, past.splits)
    if manifest.near_duplicates == "group":
        kept.drop(torn(recordings, kept.keep, group_split), filters.TORN)
    return Chosen(np.flatnonzero(kept.keep), group_split, kept.rejected, kept.examples)


def _like_earlier(kept: _Kept, catalog_path: str | Path, earlier: Sequence[Mapping[str, bytes]]) -> np.ndarray:
    """Which of the kept recordings hold the audio of an earlier generation, bool (n,)."""
    out, rows = np.zeros(len(kept.keep), bool), np.flatnonzero(kept.keep)
    if len(rows):
        fresh = read_fingerprints(catalog_path)
        names = [kept.recordings.name(int(i)) for i in rows]
        out[rows] = like_earlier(earlier, names, [fresh.get(name, b"") for name in names])
    return out


def _repeats(recordings: Recordings, keep: np.ndarray, old: list[np.ndarray]) -> np.ndarray:
    """Recordings whose samples are those of another: of an earlier generation, or with a smaller identity in this one."""
    out = np.zeros(len(recordings), bool)
    rows = np.flatnonzero(keep)
    content = recordings.content[rows]
    if old:
        pairs = np.unique(np.concatenate(old), axis=0)
        both = np.concatenate([pairs, content])
        unique, inverse = np.unique(both, axis=0, return_inverse=True)
        seen = np.zeros(len(unique), bool)
        seen[inverse[: len(pairs)]] = True
        out[rows[seen[inverse[len(pairs) :]]]] = True
        rows = rows[~out[rows]]
    repeated = filters.drop_duplicates(recordings.content[rows], recordings.identity[rows], lambda i: recordings.name(rows[i]))
    out[rows[repeated]] = True
    return out
