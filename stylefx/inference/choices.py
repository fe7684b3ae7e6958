"""What may be chosen when a style is applied: limits and defaults that the commands show without loading anything."""

from __future__ import annotations

#: --bits -> how libsndfile is told; without it: float for float inputs, else 24 bits
BITS = {"16": "pcm16", "24": "pcm24", "float": "float32"}

DEFAULT_CEILING_DBTP = -1.0
DEFAULT_WINDOWS = 8  # that are listened to, per recording

#: how peaks are kept below the ceiling: a look-ahead limiter, one gain for all, or not at all
PEAKS = ("limiter", "gain", "none")
DEFAULT_PEAK_REDUCTION_DB = 6.0  # the most that the limiter may take away
FORMATS = ("keep", "wav", "flac", "aiff")  # of the outputs of a folder
LOUDNESS_WORDS = ("reference", "input", "as-is")

#: how much of a style can be applied: 1 is what was predicted
MAX_INTENSITY = 1.5
