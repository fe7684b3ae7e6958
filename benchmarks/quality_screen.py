"""How far pitch and tempo engines are from an exactly rendered truth, on tonal material and with drums.

Everything heard is a sum of partials with a frequency, an envelope and an onset, so the shifted and stretched version
can be rendered exactly: frequencies x ratio, times / tempo. The distance is the log-spectral distance in dB: the RMS over
frequencies of the difference of the levels, averaged over the frames, and over windows of 21, 43 and 85 ms, so that
neither sharp attacks nor clean tones are favoured; levels below -60 dB of the truth's largest count as -60 dB. Phases
are not compared: no engine keeps them.

With --recordings FOLDER real recordings are taken there and back (stretched and shifted, then the inverse) and compared
with themselves: no truth is known for them, but a perfect engine would bring them back.

    python -m benchmarks.quality_screen [--seeds 4] [--engines "signalsmith;vocoder"] [--png FILE] [--recordings FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylefx.audio import engine_names, pitch_tempo

RATE = 24000
SECONDS = 10.92
SETTINGS = ((200.0, 0.8), (-200.0, 1.2), (100.0, 1.1), (-130.0, 0.9), (30.0, 1.2))  # cents, tempo
KINDS = ("tonal", "drums")
FLOOR_DB = -60.0
_WINDOWS = (512, 1024, 2048)
_BACK_SETTINGS = ((150.0, 0.85), (-150.0, 1.18), (0.0, 1.2))


@dataclass(frozen=True)
class Partial:
    """One decaying sine: amplitude at its top, seconds of attack and decay (time constant), vibrato depth and rate."""

    onset_s: float
    frequency_hz: float
    amplitude: float
    attack_s: float
    decay_s: float
    vibrato_depth: float = 0.0
    vibrato_hz: float = 0.0
    drop: float = 0.0  # the pitch starts (1 + drop) times as high and falls within 20 ms: a drum's skin


def tonal_score(rng: np.random.Generator, seconds: float) -> list[Partial]:
    """Overlapping harmonic notes, some with vibrato."""
    score, onset_s = [], 0.05
    while onset_s < seconds - 0.3:
        base_hz = 110.0 * 2.0 ** (rng.integers(0, 30) / 12)
        decay_s, attack_s = rng.uniform(0.3, 1.2), rng.uniform(0.01, 0.06)
        vibrato = (rng.uniform(0.002, 0.008), rng.uniform(4, 6)) if rng.random() < 0.4 else (0.0, 0.0)
        level, tilt = rng.uniform(0.3, 1.0), rng.uniform(0.8, 1.6)
        for k in range(1, 16):
            if k * base_hz * (1 + vibrato[0]) < 0.42 * RATE:
                score.append(Partial(onset_s, k * base_hz, level / k**tilt, attack_s, decay_s / (1 + 0.1 * k), *vibrato))
        onset_s += rng.uniform(0.12, 0.5)
    return score


def drum_score(rng: np.random.Generator, seconds: float) -> list[Partial]:
    """Kick, snare and hi-hat on a beat of 100 to 130 per minute; the noise of the last two is many short partials."""
    score, eighth_s = [], 30.0 / rng.uniform(100, 130)
    for step in range(int((seconds - 0.3) / eighth_s)):
        onset_s = 0.1 + step * eighth_s
        if step % 4 == 0 or rng.random() < 0.15:
            score.append(Partial(onset_s, 55.0, 2.5, 0.001, 0.09, drop=2.0))
        if step % 4 == 2:
            score.append(Partial(onset_s, 185.0, 1.0, 0.001, 0.05, drop=0.5))
            score += _noise(rng, onset_s, 300, 9500, 160, 1.2, 0.04)
        score += _noise(rng, onset_s, 6000, 10000, 90, rng.uniform(0.3, 0.6), 0.018)
    return score


def _noise(rng, onset_s: float, low_hz: float, high_hz: float, count: int, level: float, decay_s: float) -> list[Partial]:
    frequencies = rng.uniform(low_hz, high_hz, count)
    amplitudes = level * rng.rayleigh(1.0, count) / np.sqrt(count)
    return [Partial(onset_s, f, a, 0.0005, decay_s) for f, a in zip(frequencies, amplitudes, strict=True)]


def render(score: list[Partial], seconds: float, pitch_cents: float = 0.0, tempo: float = 1.0) -> np.ndarray:
    """The score at another pitch and tempo, float32 (1, samples); the level does not depend on either."""
    frames, ratio = round(seconds * RATE / tempo), 2.0 ** (pitch_cents / 1200)
    out = np.zeros(frames)
    for index, partial in enumerate(score):
        start = int(np.ceil(partial.onset_s / tempo * RATE))
        length_s = partial.attack_s + 9.0 * partial.decay_s
        end = min(frames, start + int(length_s / tempo * RATE))
        t = (np.arange(start, end) / RATE) * tempo - partial.onset_s  # time since the onset as played originally
        rise = np.minimum(1.0, t / partial.attack_s) if partial.attack_s > 0 else 1.0
        envelope = rise * np.exp(-np.maximum(0.0, t - partial.attack_s) / partial.decay_s)
        turns = partial.frequency_hz * ratio * _phase_time(partial, t) / tempo
        if partial.frequency_hz * ratio < 0.49 * RATE:
            out[start:end] += partial.amplitude * envelope * np.sin(2 * np.pi * (turns + (index * 0.61803) % 1.0))
    return (0.1 * out).astype(np.float32)[None]


def _phase_time(partial: Partial, t: np.ndarray) -> np.ndarray:
    """The integral of the relative frequency over the original time."""
    integral = t.copy()
    if partial.vibrato_depth:
        rate = 2 * np.pi * partial.vibrato_hz
        integral += partial.vibrato_depth * (1 - np.cos(rate * t)) / rate
    if partial.drop:
        integral += partial.drop * 0.02 * (1 - np.exp(-t / 0.02))
    return integral


def material(kind: str, seed: int, seconds: float = SECONDS) -> list[Partial]:
    score = tonal_score(np.random.default_rng([seed, 1]), seconds)
    return score + drum_score(np.random.default_rng([seed, 2]), seconds) if kind == "drums" else score


def levels_db(audio: np.ndarray, window: int) -> np.ndarray:
    """Spectrogram in dB, (frames, bins); frames a quarter of the window apart."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio[0], window), window)[:: window // 4]
    return 20 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) + 1e-9)


def distance_db(output: np.ndarray, truth: np.ndarray) -> float:
    """Log-spectral distance of float32 (1, samples) of equal length, in dB, mean over the windows."""
    distances = []
    for window in _WINDOWS:
        expected = levels_db(truth, window)
        floor = expected.max() + FLOOR_DB
        difference = np.maximum(levels_db(output, window), floor) - np.maximum(expected, floor)
        distances.append(np.sqrt((difference**2).mean(axis=1)).mean())
    return float(np.mean(distances))


def pyrubberband_two_calls(audio: np.ndarray, rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
    """What peer scripts do: pitch_shift, then time_stretch."""
    import pyrubberband

    shifted = pyrubberband.pitch_shift(audio[0].astype(np.float64), rate, pitch_cents / 100)
    stretched = pyrubberband.time_stretch(shifted, rate, tempo).astype(np.float32)
    out = np.zeros((1, out_frames), np.float32)
    out[0, : min(out_frames, len(stretched))] = stretched[:out_frames]
    return out


def signalsmith_one_call(audio: np.ndarray, rate: int, pitch_cents: float, tempo: float, out_frames: int) -> np.ndarray:
    """python-stretch as it comes, transposing by itself: up to ten cents off."""
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch(1)
    stretch.preset(1, float(rate))
    stretch.setTransposeSemitones(pitch_cents / 100)
    stretch.setTimeFactor(tempo)
    out = np.zeros((1, out_frames), np.float32)
    got = stretch.process(audio)[:, :out_frames]
    out[:, : got.shape[1]] = got
    return out


Run = Callable[[np.ndarray, int, float, float, int], np.ndarray]
PEERS: dict[str, Run] = {
    "pyrubberband, two calls": pyrubberband_two_calls,
    "python-stretch, own transposition": signalsmith_one_call,
}


def runner(name: str) -> Run:
    if name in PEERS:
        return PEERS[name]
    return lambda audio, rate, cents, tempo, frames: pitch_tempo(audio, rate, cents, tempo, frames, name)


def screen(names: list[str], seeds: int, seconds: float = SECONDS, settings=SETTINGS) -> dict[str, dict[str, np.ndarray]]:
    """Distances, name -> kind -> (seeds, settings)."""
    table = {name: {kind: np.zeros((seeds, len(settings))) for kind in KINDS} for name in names}
    for kind in KINDS:
        for seed in range(seeds):
            score = material(kind, seed, seconds)
            audio = render(score, seconds)
            for i, (cents, tempo) in enumerate(settings):
                truth = render(score, seconds, cents, tempo)
                for name in names:
                    output = runner(name)(audio, RATE, cents, tempo, truth.shape[1])
                    table[name][kind][seed, i] = distance_db(output, truth)
    return table


def there_and_back(names: list[str], folder: Path, most: int = 12, seconds: float = 8.0) -> dict[str, float]:
    """Mean distance of recordings below a folder to themselves after a change and its inverse."""
    from stylefx.audio import mix_down, probe, read_audio, resample

    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".wav", ".flac", ".ogg", ".mp3", ".opus"))
    files = [p for p in files if probe(p).duration_s >= seconds]
    files = files[:: max(1, len(files) // most)][:most]
    distances: dict[str, list[float]] = {name: [] for name in names}
    for path in files:
        info = probe(path)
        start = int(max(0.0, info.duration_s / 3 - seconds) * info.sample_rate)
        audio, rate = read_audio(path, start, int(seconds * info.sample_rate))
        audio = resample(mix_down(audio), rate, RATE)
        for name in names:
            for cents, tempo in _BACK_SETTINGS:
                there = runner(name)(audio, RATE, cents, tempo, round(audio.shape[1] / tempo))
                back = runner(name)(there, RATE, -cents, 1 / tempo, audio.shape[1])
                distances[name].append(distance_db(back, audio))
    return {name: float(np.mean(values)) for name, values in distances.items()}


def draw(table: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """A picture of the table, and of one attack as each engine renders it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(table)
    figure, (bars, waves) = plt.subplots(1, 2, figsize=(13, 1.6 + 0.62 * len(names)), width_ratios=(1, 1.2))
    y = np.arange(len(names))
    for offset, kind, colour in ((-0.2, "tonal", "#3b6ea8"), (0.2, "drums", "#c0673a")):
        values = [table[n][kind] for n in names]
        spread = [v.mean(axis=1).std() for v in values]
        bars.barh(y + offset, [v.mean() for v in values], 0.36, xerr=spread, color=colour, label=kind)
    bars.set_yticks(y, names)
    bars.invert_yaxis()
    bars.set_xlabel("log-spectral distance to the truth, dB (whisker: deviation between seeds)")
    bars.legend()
    cents, tempo = SETTINGS[0]
    score = material("drums", 0, 4.0)
    truth, audio = render(score, 4.0, cents, tempo), render(score, 4.0)
    hit = next(p.onset_s for p in score if p.frequency_hz == 185.0) / tempo
    span = slice(int((hit - 0.04) * RATE), int((hit + 0.06) * RATE))
    t = (np.arange(span.start, span.stop) / RATE - hit) * 1e3
    curves = {"truth": truth} | {n: runner(n)(audio, RATE, cents, tempo, truth.shape[1]) for n in names}
    for i, (name, wave) in enumerate(curves.items()):
        waves.plot(t, wave[0, span] / np.abs(truth).max() - 1.2 * i, lw=0.7)
        waves.text(t[0], -1.2 * i + 0.35, name, fontsize=8)
    waves.axvline(0.0, color="0.7", lw=0.8)
    waves.set_yticks([])
    waves.set_xlabel(f"ms from a snare's onset ({cents:+.0f} cents, tempo {tempo})")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--engines", default=";".join([*engine_names(), *PEERS]), help="names, separated by ;")
    parser.add_argument("--png", type=Path, default=None)
    parser.add_argument("--recordings", type=Path, default=None)
    arguments = parser.parse_args()
    names = arguments.engines.split(";")
    table = screen(names, arguments.seeds)
    print(f"log-spectral distance to an exactly rendered truth, dB: mean of {arguments.seeds} seeds x {len(SETTINGS)} settings")
    print(f"{'engine':<36}{'tonal':>8}{'drums':>8}")
    for name in names:
        print(f"{name:<36}{table[name]['tonal'].mean():>8.2f}{table[name]['drums'].mean():>8.2f}")
    if arguments.recordings:
        print(f"recordings of {arguments.recordings}, there and back, distance to themselves in dB")
        for name, distance in there_and_back(names, arguments.recordings).items():
            print(f"{name:<36}{distance:>8.2f}")
    if arguments.png:
        draw(table, arguments.png)
        print(f"picture: {arguments.png}")


if __name__ == "__main__":
    main()
