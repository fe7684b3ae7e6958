"""Many recordings at once: what is done and what is left out, several processes, an album as one, and a table of it all."""
