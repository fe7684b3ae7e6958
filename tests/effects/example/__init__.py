"""The example of docs/effects/new-effect.md: a new effect is these two files, moved to the palettes of stylefx/effects and
stylefx/differentiable."""
