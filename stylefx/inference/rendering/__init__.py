"""Settings to a file: rendered in blocks, measured, held below the ceiling."""
