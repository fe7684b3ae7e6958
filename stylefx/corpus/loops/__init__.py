"""For training loops that are not ours: the corpus as a data set of torch."""
