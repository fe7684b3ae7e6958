"""FLAC by compiled loops of our own: corpora are written and read with it. The format is RFC 9639."""

from stylefx.audio.flac.decode import decode_flac
from stylefx.audio.flac.encode import ENCODER, encode_flac

__all__ = ["ENCODER", "decode_flac", "encode_flac"]
