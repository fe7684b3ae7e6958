"""What proxies are trained on: audio in memory, cut at random, a part of it held out by groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylefx.audio import mix_down, read_audio, resample
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.schema import INDEX_FILE
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.keyed import Draw, hex_digest

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff"}


HELD_OUT_SHARE = 0.1


SILENCE = 1e-7  # mean power


_PEAK_DBFS = (-30.0, -3.0)


Wave = tuple[np.ndarray, bool]


"""(samples,) float32 and whether it is held out."""


class TrainingRecordings:
    """Mono audio in memory. Keyed: a step's cuts and controls depend on the seed and the step only."""

    def __init__(self, waves: Sequence[Wave], frames: int, seed: int = 0):
        self.frames, self.seed = frames, seed
        self.waves = {held_out: [w for w, out in waves if out == held_out] for held_out in (False, True)}
        for held_out, other in ((False, True), (True, False)):  # too little to hold any out: the same audio, other stretches
            self.waves[held_out] = self.waves[held_out] or self.waves[other]
        if not self.waves[False]:
            raise UserError("no recording with audio in it was found; name a folder with WAV, FLAC, Ogg, MP3 or AIFF files")

    def batch(self, step: int, size: int, held_out: bool = False, frames: int | None = None) -> Tensor:
        """(size, 1, frames), peaks between -30 and -3 dBFS."""
        out, waves, frames = [], self.waves[held_out], frames or self.frames
        lengths = np.array([len(w) for w in waves], dtype=np.float64)
        for item in range(size):
            draw = Draw(self.seed, f"proxy-{'test' if held_out else 'train'}", f"{step}-{item}")
            pieces, have = [], 0
            while have < frames:
                wave = draw.choice(waves, lengths)
                start = draw.integer(0, max(len(wave) - frames, 0))
                pieces.append(wave[start : start + frames - have])
                have += len(pieces[-1])
            cut = np.concatenate(pieces)
            peak = max(float(np.abs(cut).max()), 1e-6)
            out.append(cut * np.float32(10.0 ** (draw.uniform(*_PEAK_DBFS) / 20.0) / peak))
        return torch.from_numpy(np.stack(out)[:, None, :].astype(np.float32))

    def controls(self, step: int, size: int, chain: EffectChain, held_out: bool = False) -> Tensor:
        """(size, P) uniform in [0, 1]."""
        purpose = f"proxy-controls-{'test' if held_out else 'train'}"
        words = Draw(self.seed, purpose, str(step)).words(size * chain.num_controls)
        return torch.from_numpy(((words >> np.uint64(11)) * 2.0**-53).reshape(size, chain.num_controls)).float()


def find_recordings(path: str | Path) -> list[Path]:
    """All audio files below a folder, or the file itself."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"{path} holds no recordings ({', '.join(sorted(SUFFIXES))}); name a folder that does")
    return files


def load_recordings(path: str | Path, sample_rate: float, frames: int, max_minutes: float, seed: int = 0) -> TrainingRecordings:
    """Up to ``max_minutes`` of a corpus (its inputs; "val" is held out) or of a folder (a tenth of it held out)."""
    path = Path(path)
    waves = _of_corpus(path, sample_rate) if (path / INDEX_FILE).is_file() else _of_files(path, sample_rate)
    kept, left = [], max_minutes * 60.0 * sample_rate
    for wave, held_out in waves:
        if np.mean(wave**2) < SILENCE:
            continue
        kept.append((wave, held_out))
        left -= len(wave)
        if left <= 0:
            break
    return TrainingRecordings(kept, frames, seed)


def _of_files(path: Path, sample_rate: float) -> Iterator[Wave]:
    """In an order that does not follow the names. Held out are folders, where there are enough of them: files of one folder
    are mostly of one speaker, instrument or song; else single files."""
    files = find_recordings(path)
    folders = {f.parent for f in files}
    groups = {f: f.parent.relative_to(path).as_posix() if len(folders) >= 1 / HELD_OUT_SHARE else f.name for f in files}
    names = sorted(set(groups.values()), key=lambda name: hex_digest("proxy-held-out", name))
    held_out = set(names[: max(round(HELD_OUT_SHARE * len(names)), 1)]) if len(names) > 1 else set()
    for file in sorted(files, key=lambda f: hex_digest("proxy-order", f.name)):
        audio, rate = read_audio(file)
        yield resample(mix_down(audio), rate, sample_rate)[0], groups[file] in held_out


def _of_corpus(path: Path, sample_rate: float) -> Iterator[Wave]:
    """The halves that a model hears as its input; the corpus keeps groups apart between splits."""
    corpus = open_corpus(path)
    if float(corpus.sample_rate) != float(sample_rate):
        raise UserError(f"{path} is at {corpus.sample_rate} Hz, not {sample_rate:g} Hz; add --sample-rate {corpus.sample_rate}")
    splits = [s for s in ("train", "val") if s in corpus.splits] or corpus.splits[:1]
    found = [(hex_digest("proxy-order", ref.key), ref, split == "val") for split in splits for ref in corpus.samples(split)]
    for _, ref, held_out in sorted(found, key=lambda entry: entry[0]):
        for audio in corpus.read(ref, ["a.input", "b.input"]).values():
            yield mix_down(audio)[0], held_out
