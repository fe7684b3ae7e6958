"""Targets rendered while training, from keyed draws."""
