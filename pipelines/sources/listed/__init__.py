"""Recordings that are named in a file: lists, tables, manifests of other tools, and the columns that come with them."""
