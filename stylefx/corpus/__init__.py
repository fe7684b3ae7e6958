"""Reading finished corpora. ``open_corpus`` gives random access, ``CorpusDataset`` a data set for torch; neither is loaded, and
torch is not, before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylefx.corpus.loops.dataset import CorpusDataset
    from stylefx.corpus.reader import Corpus, open_corpus

__all__ = ["Corpus", "CorpusDataset", "open_corpus"]

_PLACES = {"Corpus": "reader", "open_corpus": "reader", "CorpusDataset": "loops.dataset"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
