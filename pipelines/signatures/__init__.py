"""Signatures of corpora and models, in the format of OpenSSF Model Signing, offline."""
