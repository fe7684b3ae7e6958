"""What the names of recordings end in: the one table, light enough for what never decodes."""

from __future__ import annotations

#: endings of what libsndfile reads, of raw G.722, and of what libav reads (PyAV)
SNDFILE_SUFFIXES = frozenset(
    (
        ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mp1", ".mpga", ".aif", ".aiff", ".aifc", ".caf", ".au",
        ".snd", ".w64", ".rf64", ".bwf", ".sph", ".nist", ".voc", ".avr", ".paf", ".pvf", ".sf", ".ircam", ".htk", ".sds",
        ".8svx", ".iff",
    )
)  # fmt: skip
G722_SUFFIXES = frozenset((".g722",))
LIBAV_SUFFIXES = frozenset(
    (
        ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".aac", ".alac", ".webm", ".weba", ".mka", ".mkv", ".wma", ".wmv", ".asf",
        ".wv", ".ape", ".tta", ".ac3", ".eac3", ".amr", ".spx", ".mpc", ".dsf",
    )
)  # fmt: skip

#: what counts as a recording, by its name
AUDIO_SUFFIXES = SNDFILE_SUFFIXES | G722_SUFFIXES | LIBAV_SUFFIXES
