"""Compiled loops that the effects share: biquad sections, dynamics, sliding windows."""
