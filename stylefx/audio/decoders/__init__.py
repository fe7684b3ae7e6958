"""Who decodes what: libsndfile where it can, raw G.722 by ffmpeg, and what only libav knows by PyAV."""

from __future__ import annotations

#: rises when the same decoders give other frames of some file
_REVISION = 2


def decoder_version() -> str:
    """What decoded audio depends on besides the file."""
    import soundfile

    from stylefx.audio.decoders.libav import libav_version

    return f"sndfile-{soundfile.__libsndfile_version__}-av-{libav_version()}-r{_REVISION}"
