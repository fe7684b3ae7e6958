"""The torch twin of every effect, one file each."""
