"""Everything that wants a CUDA GPU, measured and compared in one command; see ``__main__``."""
