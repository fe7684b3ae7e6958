"""Reading, writing, resampling, mixing, loudness, pitch and tempo. NumPy float32 (channels, samples) throughout; no torch."""

from stylefx.audio.decoders.base import AudioInfo
from stylefx.audio.engines import DEFAULT_ENGINE, engine_names, pitch_tempo, preflight
from stylefx.audio.loudness import LoudnessMeter, has_loudness, integrated_lufs, peak_dbfs, true_peak_dbtp
from stylefx.audio.mixing import active_channels, mix_down
from stylefx.audio.reading import BlockReader, open_blocks, probe, read_audio
from stylefx.audio.resampling import Resampler, resample, resampled_frames
from stylefx.audio.writing import AudioWriter, decode_audio, encode_audio, write_audio

__all__ = [
    "DEFAULT_ENGINE",
    "AudioInfo",
    "AudioWriter",
    "BlockReader",
    "LoudnessMeter",
    "Resampler",
    "active_channels",
    "decode_audio",
    "encode_audio",
    "engine_names",
    "has_loudness",
    "integrated_lufs",
    "mix_down",
    "open_blocks",
    "peak_dbfs",
    "pitch_tempo",
    "preflight",
    "probe",
    "read_audio",
    "resample",
    "resampled_frames",
    "true_peak_dbtp",
    "write_audio",
]
