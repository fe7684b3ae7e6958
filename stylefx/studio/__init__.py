"""The studio: style transfer in the browser, and a corpus to browse and listen to."""
