"""What is random about a pair, drawn once and written down, and the steps that render it.

``distributions`` may stand wherever a quantity is random, ``chains`` are the steps of both branches, ``presets`` are chains
by name, ``draw`` makes a recipe of them, ``steps`` renders one. Corpora and training draw and render with the same code.
"""
