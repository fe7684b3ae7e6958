"""Which recordings give samples, on which side of a split, and what keeps the same audio together."""
