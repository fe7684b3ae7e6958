"""A blind listening test as one page: figures are not ears."""
