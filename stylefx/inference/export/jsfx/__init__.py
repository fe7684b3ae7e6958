"""The effects of the palette as JSFX code (EEL2), in double precision: the same equations, one file a family.

A family's functions take the ``Plugin`` that is being written, the effect and its settings, and add what the effect needs.
"""
