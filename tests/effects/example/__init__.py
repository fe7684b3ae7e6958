"""The example of the README: a new effect is these two files, moved to stylefx/effects and stylefx/differentiable."""
