"""The thirteen effects, one file each; whatever is registered here is found by its name."""
