"""What an engine does to tones, clicks, channels, offsets and levels, as numbers; any function that changes pitch and tempo.

Tones are compared with the sine that fits best, clicks with the place and shape that pitch and tempo give them, a channel
with the other of which it is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

Run = Callable[[np.ndarray, int, float, float, int], np.ndarray]  # audio, rate, cents, tempo, frames -> audio
Settings = Iterable[tuple[float, float]]  # cents, tempo

TONES_HZ = (110.0, 443.7, 1000.0, 3010.0, 7000.0)
CLICK_S = 0.004
_CLICK_DECAY_S = 0.001
_SMOOTHING_S = 0.002
_REACH_S = 0.06  # around a click, in which a copy or an echo is looked for
_BLOCK_S = 0.02


def run_for(run: Run, audio: np.ndarray, rate: int, cents: float, tempo: float) -> np.ndarray:
    """float32 (channels, samples) -> float64 of the length that the tempo asks for."""
    return run(audio.astype(np.float32), rate, cents, tempo, round(audio.shape[1] / tempo)).astype(np.float64)


def tone_errors(run: Run, rate: int, settings: Settings, tones_hz: Iterable[float] = TONES_HZ) -> np.ndarray:
    """(tones x settings, 3): cents off, dB of what is not a sine, dB of level lost or won; four seconds, the edges left out."""
    rows = []
    for tone_hz in tones_hz:
        audio = 0.5 * np.sin(2 * np.pi * tone_hz * np.arange(4 * rate) / rate)[None]
        for cents, tempo in settings:
            out = run_for(run, audio, rate, cents, tempo)[0, rate // 2 : -rate // 2]
            rows.append(_against_sine(out, rate, tone_hz * 2 ** (cents / 1200), 0.5))
    return np.array(rows)


def _against_sine(out: np.ndarray, rate: int, expected_hz: float, amplitude: float) -> tuple[float, float, float]:
    t = np.arange(len(out)) / rate
    block = round(_BLOCK_S * rate)
    blocks = len(out) // block
    turning = (out * np.exp(-2j * np.pi * expected_hz * t))[: blocks * block].reshape(blocks, block)
    phase = np.unwrap(np.angle(turning @ np.hanning(block)))
    found_hz = expected_hz + np.polyfit(np.arange(blocks) * _BLOCK_S, phase, 1)[0] / (2 * np.pi)
    basis = np.stack([np.sin(2 * np.pi * found_hz * t), np.cos(2 * np.pi * found_hz * t)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, out, rcond=None)
    rest = out - basis @ weights
    residual_db = 20 * np.log10(np.std(rest) / np.std(out) + 1e-9)
    return 1200 * np.log2(found_hz / expected_hz), residual_db, 20 * np.log10(np.hypot(*weights) / amplitude)


def clicks(rate: int, seconds: float = 4.0, gap_s: float = 0.5, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Bursts of noise of 4 ms that decay within them, float64 (1, samples), and where they begin, in samples."""
    rng = np.random.default_rng(seed)
    length = round(CLICK_S * rate)
    onsets = np.array([round((0.3 + gap_s * k) * rate) + 37 * k for k in range(int((seconds - 0.4) / gap_s))])
    audio = np.zeros((1, round(seconds * rate)))
    for onset in onsets:
        audio[0, onset : onset + length] = 0.8 * rng.normal(size=length) * np.exp(-np.arange(length) / (_CLICK_DECAY_S * rate))
    return audio, onsets


def click_errors(run: Run, rate: int, settings: Settings) -> np.ndarray:
    """(settings, 4), the worst of seven clicks: ms that hold 90 % of a click's energy, dB of a copy 5 ms and more after it, of
    an echo 4 ms and more before it, dB of energy lost or won against the click in its own time; where the pitch falls, the
    times grow with the click."""
    audio, onsets = clicks(rate)
    return np.array(
        [_against_click(run_for(run, audio, rate, *setting)[0], audio[0], onsets, rate, *setting) for setting in settings]
    )


def _against_click(
    out: np.ndarray, audio: np.ndarray, onsets: np.ndarray, rate: int, cents: float, tempo: float
) -> tuple[float, float, float, float]:
    longer = max(1.0, 2 ** (-cents / 1200))
    kernel = np.hanning(round(_SMOOTHING_S * rate))
    smooth = np.convolve(out**2, kernel / kernel.sum(), "same")
    rows = []
    for onset in onsets:
        place, reach = round(onset / tempo), round(2 * _REACH_S * rate)
        start = max(0, place - reach)
        energy = out[start : place + reach] ** 2
        share = np.cumsum(energy) / energy.sum()
        width_ms = 1e3 * (np.searchsorted(share, 0.95) - np.searchsorted(share, 0.05)) / rate
        top = start + int(smooth[start : place + reach].argmax())
        near_after, near_before, far = round(0.005 * longer * rate), round(0.004 * longer * rate), round(_REACH_S * rate)
        after = smooth[top + near_after : top + far].max()
        before = smooth[max(0, top - far) : top - near_before].max()
        own = (audio[onset : onset + round(CLICK_S * rate)] ** 2).sum() * 2 ** (-cents / 1200)
        rows.append((width_ms, _db(after / smooth[top]), _db(before / smooth[top]), _db(energy.sum() / own)))
    widths, copies, echoes, levels = np.array(rows).T
    return widths.max(), copies.max(), echoes.max(), levels[np.abs(levels).argmax()]


def _db(power_ratio: float) -> float:
    return 10 * np.log10(power_ratio + 1e-12)


def image_error_db(run: Run, rate: int, left: np.ndarray, gain: float, settings: Settings) -> float:
    """The right channel is the left times ``gain``; worst level of what is not so in the output, against the right one."""
    worst = -np.inf
    for cents, tempo in settings:
        out = run_for(run, np.stack([left, gain * left]), rate, cents, tempo)
        worst = max(worst, 20 * np.log10(np.std(out[1] - gain * out[0]) / np.std(out[1]) + 1e-9))
    return worst


def level_error_db(run: Run, rate: int, audio: np.ndarray, settings: Settings) -> float:
    """The largest change of the RMS level in dB, with its sign."""
    changes = [20 * np.log10(np.std(run_for(run, audio, rate, *setting)) / np.std(audio)) for setting in settings]
    return max(changes, key=abs)


def sine_level_error_db(run: Run, rate: int, amplitude: float, cents: float = 150.0, tempo: float = 0.9) -> float:
    """dB that a sine of this amplitude comes back louder."""
    audio = amplitude * np.sin(2 * np.pi * 440.0 * np.arange(2 * rate) / rate)[None]
    inner = run_for(run, audio, rate, cents, tempo)[0, rate // 2 : -rate // 2]
    return 20 * np.log10(np.std(inner) * np.sqrt(2) / amplitude + 1e-9)


def offset_kept(run: Run, rate: int, audio: np.ndarray, offset: float, settings: Settings) -> tuple[float, float]:
    """Smallest and largest share of a constant offset under ``audio`` that the output has, averaged over half a second."""
    window = np.hanning(rate // 2)
    shares = []
    for cents, tempo in settings:
        out = run_for(run, audio + offset, rate, cents, tempo)[0, rate // 4 : -rate // 4]
        shares.append(np.convolve(out, window / window.sum(), "valid")[:: rate // 100] / offset)
    together = np.concatenate(shares)
    return float(together.min()), float(together.max())
