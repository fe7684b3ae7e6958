"""Where a corpus' files come from: a folder, or a URL with copies kept here."""
