"""Ranks that agree, and signals that stop them."""
