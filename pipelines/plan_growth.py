"""Growing a finished corpus: what its manifest may change, and the proof that no group changes its split."""

from __future__ import annotations

import numpy as np

from pipelines.manifest import Manifest
from pipelines.plan_catalog import Recordings
from pipelines.split import split_codes
from stylefx.corpus.schema import SPLITS
from stylefx.errors import UserError

#: may differ between generations: where things lie, what is added, how much of it is taken, and how patient to be
FREE = frozenset({"output", "limits", "sources", "filters", "selection", "split"})
#: of a source that an earlier generation used; everything else of it decides groups, labels or identities
FREE_OF_SOURCE = frozenset({"path", "root", "url", "include", "exclude", "weight", "licence", "attribution"})


def check_growth(old: Manifest, new: Manifest) -> None:
    """UserError where the new manifest would change what earlier generations decided."""
    was, now = old.to_dict(), new.to_dict()
    for field in sorted(set(was) - FREE):
        if was[field] != now[field]:
            shown = f"it was {_shown(was[field])}, is {_shown(now[field])}"
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


def splits_of(manifest: Manifest, recordings: Recordings, keep: np.ndarray) -> np.ndarray:
    """Index into SPLITS of every group that the catalog names, int8; ``keep`` (n,): recordings that count."""
    forced: dict[str, str] = {}
    for source in manifest.sources:
        if source.split is not None and source.name in recordings.source.names:
            mine = keep & (recordings.source.codes == recordings.source.names.index(source.name))
            for code in np.unique(recordings.group.codes[mine]):
                group = recordings.group.names[code]
                if forced.setdefault(group, source.split) != source.split:
                    raise UserError(f"group {group!r} is in sources of the splits {forced[group]} and {source.split}; keep one")
    return split_codes(recordings.group.names, manifest.split, forced)


def check_splits(old: Manifest, earlier: Recordings, new: Recordings, new_split: np.ndarray) -> None:
    """UserError for a group that an earlier generation has in another split than this one."""
    readable = np.array([name == "" for name in earlier.error.names], bool)[earlier.error.codes]
    was = dict(zip(earlier.group.names, splits_of(old, earlier, readable), strict=True))
    for group, code in zip(new.group.names, new_split, strict=True):
        if group and was.get(group, code) != code:
            raise UserError(
                f"group {group!r} is in {SPLITS[was[group]]} since an earlier generation and would now be in {SPLITS[code]}; "
                "remove the pin or the source's split that moves it"
            )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
