"""Peers that run in environments of their own: the project does not depend on them."""
