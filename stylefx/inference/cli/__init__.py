"""The commands transfer, render and export."""
