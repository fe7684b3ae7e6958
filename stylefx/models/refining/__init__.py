"""Predicted controls made better by gradient steps: what they approach, and the steps."""
