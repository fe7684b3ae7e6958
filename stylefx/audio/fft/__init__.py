"""Fourier transforms of many short real signals at once, in single precision."""

from stylefx.audio.fft.rows import irfft_rows, rfft_rows, windowed_rfft

__all__ = ["irfft_rows", "rfft_rows", "windowed_rfft"]
