"""The names of the targets, for a command that need not load what writes them."""

NAMES = ("ffmpeg", "sox", "pedalboard", "reaper", "faust", "dawproject", "equalizer-apo", "lv2")
