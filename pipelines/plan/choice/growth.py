"""Growing a finished corpus: what its manifest may change, and the proof that no group changes its split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.catalog.recordings import Recordings
from pipelines.manifest.model import Manifest
from pipelines.plan.choice.near import joined_groups
from pipelines.plan.choice.split import split_codes
from stylefx.corpus.schema import SPLITS
from stylefx.errors import UserError

#: may differ between generations: where things lie, what is added, how much of it is taken, and how patient to be
FREE = frozenset({"output", "limits", "sources", "filters", "selection", "split", "near_duplicates", "licences"})


#: of a source that an earlier generation used; everything else of it decides groups, labels or identities
FREE_OF_SOURCE = frozenset({"path", "root", "url", "include", "exclude", "select", "weight", "licence", "attribution"})


def check_growth(old: Manifest, new: Manifest) -> None:
    """UserError where the new manifest would change what earlier generations decided."""
    was, now = old.to_dict(), new.to_dict()
    for field in sorted({*was, *now} - FREE):
        if was.get(field) != now.get(field):
            shown = f"it was {_shown(was.get(field))}, is {_shown(now.get(field))}"
            raise UserError(f"a corpus cannot grow with another {field}: {shown}; restore it")
    for source in old.sources:
        again = next((s for s in new.sources if s.name == source.name), None)
        if again is None:
            continue
        for field in sorted(set(type(source).model_fields) - FREE_OF_SOURCE):
            if getattr(source, field) != getattr(again, field):
                raise UserError(
                    f"a corpus cannot grow with another {field} of source {source.name}: its recordings would change their "
                    "groups; restore it, or add the recordings as a new source"
                )
    for field in ("salt", "fractions"):
        if getattr(old.split, field) != getattr(new.split, field):
            raise UserError(f"a corpus cannot grow with another split.{field}: groups would move; restore it")


def splits_of(manifest: Manifest, recordings: Recordings, keep: np.ndarray, fixed: Mapping[str, int] | None = None) -> np.ndarray:
    """Index into SPLITS of every group that the catalog names, int8; ``keep`` (n,): recordings that count.

    Groups that share audio follow the one that is pinned, else the first by name. ``fixed``: groups of earlier generations and
    their splits; then every other group follows its own name alone.
    """
    forced: dict[str, str] = {}
    for source in manifest.sources:
        if source.split is not None and source.name in recordings.source.names:
            mine = keep & (recordings.source.codes == recordings.source.names.index(source.name))
            for code in np.unique(recordings.group.codes[mine]):
                group = recordings.group.names[code]
                if forced.setdefault(group, source.split) != source.split:
                    raise UserError(f"group {group!r} is in sources of the splits {forced[group]} and {source.split}; keep one")
    names = recordings.group.names
    codes = split_codes(names, manifest.split, forced)
    pinned = np.array([name in forced or any(name in getattr(manifest.split, s) for s in SPLITS) for name in names], bool)
    if fixed:
        return np.array([c if p else fixed.get(n, c) for n, c, p in zip(names, codes, pinned, strict=True)], np.int8)
    return _together(recordings, codes, pinned) if manifest.near_duplicates == "group" else codes


def _together(recordings: Recordings, codes: np.ndarray, pinned: np.ndarray) -> np.ndarray:
    """The splits with groups that share audio in one; what the catalog says alone decides, so that growing finds the same."""
    joined, names, out = joined_groups(recordings), recordings.group.names, codes.copy()
    leader = {int(root): int(root) for root in joined}
    for i in sorted(np.flatnonzero(pinned).tolist(), key=lambda i: names[i], reverse=True):
        leader[int(joined[i])] = i
    for i, root in enumerate(joined):
        if not pinned[i]:
            out[i] = codes[leader[int(root)]]
    return out


def earlier_splits(earlier: Sequence[tuple[Manifest, Recordings]]) -> dict[str, int]:
    """Group -> index into SPLITS of all generations so far; the first that has a group decides."""
    fixed: dict[str, int] = {}
    for manifest, recordings in earlier:
        readable = np.array([name == "" for name in recordings.error.names], bool)[recordings.error.codes]
        codes = splits_of(manifest, recordings, readable, fixed)
        fixed = dict(zip(recordings.group.names, codes.tolist(), strict=True)) | fixed
    return fixed


def check_splits(fixed: Mapping[str, int], new: Recordings, new_split: np.ndarray) -> None:
    """UserError for a group that an earlier generation has in another split than this one."""
    for group, code in zip(new.group.names, new_split, strict=True):
        if group and fixed.get(group, code) != code:
            raise UserError(
                f"group {group!r} is in {SPLITS[fixed[group]]} since an earlier generation and would now be in {SPLITS[code]}; "
                "remove the pin or the source's split that moves it"
            )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
