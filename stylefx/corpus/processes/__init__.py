"""Batches made by processes that read, beside the one that trains."""
