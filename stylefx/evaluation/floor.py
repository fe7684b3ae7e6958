"""What the corpus' audio format hides, said beside every table: below it no distance means anything."""

from __future__ import annotations

from stylefx.corpus.reader import Corpus

MOST_SHARE = 0.05


def floor_in_words(corpus: Corpus, split: str) -> str | None:
    """ "flac24 (hides 0.0011, 0.1 % of the input's distance)"; None for a corpus from before this was measured."""
    floor, name = corpus.floor(split), corpus.index.get("audio_format")
    if floor is None:
        return None
    share = "" if floor.share is None else f", {100 * floor.share:.2g} % of the input's distance"
    return f"{name} (hides {floor.floor:.2g}{share})"


def floor_warning(corpus: Corpus, split: str) -> str | None:
    """A sentence with the cure where the format hides more than 5 % of the input's distance."""
    floor = corpus.floor(split)
    if floor is None or floor.share is None or floor.share <= MOST_SHARE:
        return None
    return (
        f"{corpus.index.get('audio_format')} hides {100 * floor.share:.0f} % of the input's distance in the split {split!r}: "
        "what lies below cannot be told apart; build with audio_format: flac24, or render the pairs in float (--render recipe)"
    )
