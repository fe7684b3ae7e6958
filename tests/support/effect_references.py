"""Independent references in float64: the cookbook's own formulae, scipy's filters, plain sample loops, typed anew from the
papers. ``REFERENCES[name](effect, audio, settings, sample_rate)`` renders what the effect should, look-ahead removed."""

from __future__ import annotations

import math

import numba
import numpy as np
import scipy.ndimage
import scipy.signal

from tests.effects.held import held_shelf, held_sos, is_held


def relative_rms(output, reference) -> float:
    """RMS of the error over the RMS of the reference, float64."""
    reference = np.asarray(reference, dtype=np.float64)
    scale = math.sqrt(np.mean(reference**2))
    return math.sqrt(np.mean((np.asarray(output, dtype=np.float64) - reference) ** 2)) / max(scale, 1e-30)


def programme(rng: np.random.Generator, channels: int = 1, samples: int = 32768) -> np.ndarray:
    """Something like music: noise with a falling spectrum, bursts, gaps and level steps; float32 (channels, samples)."""
    noise = rng.standard_normal((channels, samples))
    coloured = scipy.signal.lfilter([1.0, 0.4], [1.0, -0.93], noise) * 0.2
    level_db = np.repeat(rng.uniform(-70.0, 0.0, samples // 1024 + 1), 1024)[:samples]
    level_db[rng.random(samples) < 1e-3] = -6.0
    signal = coloured * 10.0 ** (level_db / 20.0)
    signal[:, samples // 2 : samples // 2 + 700] = 0.0
    return signal.astype(np.float32)


def draw(effect, rng: np.random.Generator) -> dict[str, float]:
    """Settings drawn uniformly over the controls."""
    return {p.name: p.from_control(rng.random()) for p in effect.parameters}


# -- filters


def cookbook(kind: str, gain_db: float, cutoff_hz: float, q: float, sample_rate: float) -> list[float]:
    """b0, b1, b2, a0, a1, a2 exactly as printed in the Audio EQ Cookbook, divided by a0."""
    a = math.sqrt(10 ** (gain_db / 20))
    w = 2 * math.pi * min(cutoff_hz, 0.45 * sample_rate) / sample_rate
    cos, alpha = math.cos(w), math.sin(w) / (2 * q)
    beta = 2 * math.sqrt(a) * alpha
    if kind == "peak":
        c = [1 + alpha * a, -2 * cos, 1 - alpha * a, 1 + alpha / a, -2 * cos, 1 - alpha / a]
    elif kind == "low_shelf":
        c = [
            a * ((a + 1) - (a - 1) * cos + beta),
            2 * a * ((a - 1) - (a + 1) * cos),
            a * ((a + 1) - (a - 1) * cos - beta),
            (a + 1) + (a - 1) * cos + beta,
            -2 * ((a - 1) + (a + 1) * cos),
            (a + 1) + (a - 1) * cos - beta,
        ]
    elif kind == "high_shelf":
        c = [
            a * ((a + 1) + (a - 1) * cos + beta),
            -2 * a * ((a - 1) + (a + 1) * cos),
            a * ((a + 1) + (a - 1) * cos - beta),
            (a + 1) - (a - 1) * cos + beta,
            2 * ((a - 1) - (a + 1) * cos),
            (a + 1) - (a - 1) * cos - beta,
        ]
    elif kind == "low_pass":
        c = [(1 - cos) / 2, 1 - cos, (1 - cos) / 2, 1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "high_pass":
        c = [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2, 1 + alpha, -2 * cos, 1 - alpha]
    elif kind == "notch":
        c = [1, -2 * cos, 1, 1 + alpha, -2 * cos, 1 - alpha]
    else:
        raise ValueError(kind)
    return [value / c[3] for value in c]


def sections(kind: str, gain_db: float, cutoff_hz: float, q: float, sample_rate: float) -> np.ndarray:
    """A band as second-order sections: the cookbook's, or two where the rate cannot hold the cutoff."""
    if is_held(cutoff_hz, sample_rate):
        return held_sos(np.array(cookbook(kind, gain_db, cutoff_hz, q, 48000)), sample_rate)
    return np.array([cookbook(kind, gain_db, cutoff_hz, q, sample_rate)])


def _filtered(bands, audio, sample_rate):
    sos = np.concatenate([sections(*band, sample_rate) for band in bands])
    return scipy.signal.sosfilt(sos, np.asarray(audio, dtype=np.float64), axis=-1)


def equalise(effect, audio, s, sample_rate):
    bands = [(kind, s.get(f"{n}_gain_db", 0.0), s[f"{n}_cutoff_hz"], s[f"{n}_q"]) for n, kind, _, _ in effect.bands]
    return _filtered(bands, audio, sample_rate)


def equalise_graphically(effect, audio, s, sample_rate):
    """Knobs by name, centres from the base-2 series, gains from a least-squares fit of 6 dB responses."""
    per_octave = {10: 1, 30: 3}[len(s)]
    centres = 1000 * 2.0 ** (np.arange(-40, 40) / per_octave)
    centres = centres[(centres > (30 if per_octave == 1 else 24)) & (centres < 21000)]
    assert len(centres) == len(s)
    active = centres <= 0.45 * sample_rate
    centres, knobs = centres[active], np.array(list(s.values()))[active]
    q = 1 / (2 ** (1 / (2 * per_octave)) - 2 ** (-1 / (2 * per_octave)))
    columns = []
    for centre in centres:
        b_a = cookbook("peak", 6.0, centre, q, sample_rate)
        _, h = scipy.signal.freqz(b_a[:3], b_a[3:], worN=centres, fs=sample_rate)
        columns.append(20 * np.log10(np.abs(h)) / 6)
    gains = np.linalg.lstsq(np.array(columns).T, knobs, rcond=None)[0]
    return _filtered([("peak", g, f, q) for g, f in zip(gains, centres)], audio, sample_rate)


# -- dynamics


@numba.njit
def _compressor_loop(level_db, threshold, ratio, attack, release, knee):
    """Giannoulis et al., equation 4 (static curve) and 17 (branching smoother on the reduction), sample by sample."""
    reduction = np.zeros(len(level_db))
    state = 0.0
    for n in range(len(level_db)):
        over = level_db[n] - threshold
        if 2.0 * over < -knee:
            r = 0.0
        elif 2.0 * abs(over) <= knee and knee > 0.0:
            r = (1.0 - 1.0 / ratio) * (over + knee / 2.0) ** 2 / (2.0 * knee)
        else:
            r = (1.0 - 1.0 / ratio) * over
        if r > state:
            state = attack * state + (1.0 - attack) * r
        else:
            state = release * state + (1.0 - release) * r
        reduction[n] = state
    return reduction


@numba.njit
def _expander_loop(level_db, threshold, ratio, attack, release, knee, limit):
    """The mirror image below the threshold; a falling reduction opens (attack), a rising one closes (release)."""
    reduction = np.zeros(len(level_db))
    state = 0.0
    for n in range(len(level_db)):
        under = threshold - level_db[n]
        if 2.0 * under < -knee:
            r = 0.0
        elif 2.0 * abs(under) <= knee and knee > 0.0:
            r = (ratio - 1.0) * (under + knee / 2.0) ** 2 / (2.0 * knee)
        else:
            r = (ratio - 1.0) * under
        r = min(r, limit)
        if r > state:
            state = release * state + (1.0 - release) * r
        else:
            state = attack * state + (1.0 - attack) * r
        reduction[n] = state
    return reduction


def loudest(audio) -> np.ndarray:
    return np.max(np.abs(np.asarray(audio, dtype=np.float64)), axis=0)


def decibels(magnitude) -> np.ndarray:
    """dB, floor -96."""
    return np.maximum(20 * np.log10(np.maximum(magnitude, 1e-30)), -96.0)


def pole(time_ms: float, sample_rate: float) -> float:
    return math.exp(-math.log(9) / (sample_rate * time_ms / 1000))


def compress(effect, audio, s, sample_rate):
    attack, release = pole(s["attack_ms"], sample_rate), pole(s["release_ms"], sample_rate)
    level_db = decibels(loudest(audio))
    reduction = _compressor_loop(level_db, s["threshold_db"], s["ratio"], attack, release, s["knee_db"])
    return np.asarray(audio, dtype=np.float64) * 10 ** ((s["makeup_gain_db"] - reduction) / 20)


def expand(effect, audio, s, sample_rate):
    attack, release = pole(s["attack_ms"], sample_rate), pole(s["release_ms"], sample_rate)
    level_db = decibels(loudest(audio))
    reduction = _expander_loop(level_db, s["threshold_db"], s["ratio"], attack, release, s["knee_db"], s["range_db"])
    return np.asarray(audio, dtype=np.float64) * 10 ** ((s["makeup_gain_db"] - reduction) / 20)


def _held(values, window):
    """Largest of the last ``window`` values."""
    padded = np.concatenate([np.zeros(window - 1), values])
    return np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=1)


def gate(effect, audio, s, sample_rate):
    attack, release = pole(s["attack_ms"], sample_rate), pole(s["release_ms"], sample_rate)
    level_db = decibels(_held(loudest(audio), round(s["hold_ms"] / 1000 * sample_rate) + 1))
    reduction = _expander_loop(level_db, s["threshold_db"], 21.0, attack, release, s["knee_db"], s["range_db"])
    return np.asarray(audio, dtype=np.float64) * 10 ** (-reduction / 20)


def limit(effect, audio, s, sample_rate):
    ahead = round(effect.lookahead_ms / 1000 * sample_rate)
    audio = np.asarray(audio, dtype=np.float64)
    peaks = np.concatenate([loudest(audio), np.zeros(ahead)])
    wanted = np.maximum(decibels(_held(peaks, ahead + 1)) + s["gain_db"] - s["ceiling_db"], 0.0)
    released = _compressor_loop(wanted, 0.0, math.inf, 0.0, pole(s["release_ms"], sample_rate), 0.0)
    for taps in (ahead // 2 + 1, ahead + 1 - ahead // 2):
        released = np.convolve(released, np.ones(taps) / taps)[: len(released)]
    return audio * 10 ** ((s["gain_db"] - released[ahead:]) / 20)


def _butterworth(cutoff_hz, kind, sample_rate):
    held = is_held(cutoff_hz, sample_rate)
    rate = 48000 if held else sample_rate
    sos = scipy.signal.butter(2, min(cutoff_hz, 0.45 * rate), kind, fs=rate, output="sos")
    return held_sos(sos[0], sample_rate) if held else sos


def compress_bands(effect, audio, s, sample_rate):
    """A tree of crossovers: split off the lowest band, send it through the all-passes (low + high) of the later splits."""

    def split(x, cutoff_hz):
        ways = []
        for kind in ("lowpass", "highpass"):
            sos = _butterworth(cutoff_hz, kind, sample_rate)
            ways.append(scipy.signal.sosfilt(np.concatenate([sos, sos]), x, axis=-1))
        return ways

    cutoffs = [v for k, v in s.items() if k.startswith("crossover")]
    bands, rest = [], np.asarray(audio, dtype=np.float64)
    for cutoff_hz in cutoffs:
        bands = [sum(split(band, cutoff_hz)) for band in bands]
        low, rest = split(rest, cutoff_hz)
        bands.append(low)
    bands.append(rest)
    total = 0.0
    for i, band in enumerate(bands):
        own = {k.split("_", 1)[1]: v for k, v in s.items() if k.startswith(f"band{i + 1}_")}
        total = total + compress(None, band, own, sample_rate)
    return total


# -- gain, space, distortion, time


def amplify(effect, audio, s, sample_rate):
    return np.asarray(audio, dtype=np.float64) * 10 ** (s["gain_db"] / 20)


def widen(effect, audio, s, sample_rate):
    audio = np.asarray(audio, dtype=np.float64)
    if len(audio) == 1:
        return audio
    middle, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2
    return np.stack([middle + s["width"] * side, middle - s["width"] * side])


def pan(effect, audio, s, sample_rate):
    audio = np.asarray(audio, dtype=np.float64)
    angle = np.deg2rad(45 + 45 * s["pan"])
    return audio if len(audio) == 1 else np.sqrt(2) * np.stack([np.cos(angle) * audio[0], np.sin(angle) * audio[1]])


def saturate(effect, audio, s, sample_rate):
    audio = np.asarray(audio, dtype=np.float64)
    drive = 10 ** (s["drive_db"] / 20)
    taps = scipy.signal.firwin(129, 0.25, window=("kaiser", 9.0), scale=False)
    # Filters and strides of scipy; the whole delay of 128 samples at the high rate is 32 at the low one.
    high = scipy.signal.upfirdn(4 * taps, np.pad(audio, ((0, 0), (0, 64))), up=4, axis=-1)
    shaped = (np.tanh(drive * high + s["bias"]) - np.tanh(s["bias"])) / np.tanh(drive)
    wet = scipy.signal.upfirdn(taps, shaped, down=4, axis=-1)
    for cutoff_hz, kind in ((5.0, "highpass"), (s["tone_hz"], "lowpass")):
        wet = scipy.signal.sosfilt(_butterworth(cutoff_hz, kind, sample_rate), wet, axis=-1)
    return (1 - s["mix"]) * audio + s["mix"] * wet[:, 32 : 32 + audio.shape[1]]


@numba.njit
def _echo_loop(x, whole, weights, feedback, keep, wet):
    loop = np.zeros(len(x))
    w = 0.0
    for n in range(len(x)):
        v = 0.0
        for k in range(4):
            past = n - whole + 1 - k
            if past >= 0:
                v += weights[k] * loop[past]
        w = keep * w + (1.0 - keep) * v
        loop[n] = x[n] + feedback * w
        wet[n] = w


def echo(effect, audio, s, sample_rate):
    audio = np.asarray(audio, dtype=np.float64)
    samples = max(s["time_ms"] / 1000 * sample_rate, 2.0)
    whole = int(samples)
    at = 1.0 + samples - whole
    weights = np.array([np.prod([(at - m) / (k - m) for m in range(4) if m != k]) for k in range(4)])
    wet = np.zeros(audio.shape)
    for c in range(len(audio)):
        _echo_loop(audio[c], whole, weights, s["feedback"], math.exp(-2 * math.pi * s["damping_hz"] / sample_rate), wet[c])
    return (1 - s["mix"]) * audio + s["mix"] * wet


@numba.njit
def _network_loop(x, into, matrix, out_of, lengths, b, a, wet):
    size = x.shape[1] + lengths.max() + 1
    lines = np.zeros((8, size))
    before_in, before_out, now = np.zeros(8), np.zeros(8), np.zeros(8)
    for n in range(x.shape[1]):
        for i in range(8):
            delayed = lines[i, n - lengths[i]] if n >= lengths[i] else 0.0
            now[i] = b[i, 0] * delayed + b[i, 1] * before_in[i] - a[i, 1] * before_out[i]
            before_in[i], before_out[i] = delayed, now[i]
        for c in range(len(x)):
            for i in range(8):
                wet[c, n] += out_of[c, i] * now[i]
                lines[i, n] += into[i, c] * x[c, n]
        for i in range(8):
            for j in range(8):
                lines[i, n] += matrix[i, j] * now[j]


def reverberate(effect, audio, s, sample_rate):
    """Lines, matrix and gains spelled out; shelves through scipy's bilinear transform of the analog prototype."""
    audio = np.asarray(audio, dtype=np.float64)
    lengths = []
    for time_ms in (29.7, 34.1, 39.3, 44.9, 51.7, 58.3, 66.1, 74.3):
        length = max(round(effect.size * time_ms / 1000 * sample_rate), lengths[-1] + 1 if lengths else 2)
        while any(length % d == 0 for d in range(2, int(length**0.5) + 1)):
            length += 1
        lengths.append(length)
    lengths = np.array(lengths)
    low = 10 ** (-60 * lengths / sample_rate / s["decay_s"] / 20)
    high = 10 ** (-60 * lengths / sample_rate / (s["decay_s"] * s["high_decay_ratio"]) / 20)
    held = is_held(s["crossover_hz"], sample_rate)
    rate = 48000 if held else sample_rate
    warped = np.tan(np.pi * min(s["crossover_hz"], 0.45 * rate) / rate)
    b, a = [], []
    for g, root in zip(low, np.sqrt(high / low)):
        if held:
            zeros, poles = held_shelf(g, root, warped, sample_rate)
        else:
            zeros, poles = scipy.signal.bilinear([g * root, g], [1 / root, 1], fs=0.5 / warped)
        b.append(zeros)
        a.append(poles)
    into = np.full((8, 1), 8**-0.5)
    out_of = np.array([[1.0, -1, 1, 1, -1, 1, -1, -1]])
    if len(audio) == 2:
        into = np.array([[0.5, 0], [0, 0.5]] * 4)
        out_of = np.array([[1.0, 0] * 4, [0, 1.0] * 4])
    matrix = scipy.linalg.hadamard(8) / np.sqrt(8)
    late = round(effect.predelay_ms / 1000 * sample_rate)
    x = np.pad(audio, ((0, 0), (late, 0)))[:, : audio.shape[1]]
    wet = np.zeros(audio.shape)
    out_of = out_of * np.sqrt((1 - np.mean(low**2)) / np.mean(low**2))
    _network_loop(x, into, matrix, out_of, lengths, np.array(b), np.array(a), wet)
    return (1 - s["mix"]) * audio + s["mix"] * wet


REFERENCES = {
    "parametric_eq": equalise,
    "graphic_eq": equalise_graphically,
    "compressor": compress,
    "expander": expand,
    "gate": gate,
    "limiter": limit,
    "multiband_compressor": compress_bands,
    "gain": amplify,
    "stereo_width": widen,
    "pan": pan,
    "saturation": saturate,
    "delay": echo,
    "reverb": reverberate,
}
