"""What each audio format hides and costs, on the samples of a corpus that stores dry halves.

    python -m benchmarks.format_floors corpora/demo --items 40

The pairs are rendered in float from the dry halves and the stored recipes; the target's half is then put through every format.
Floor: MR-STFT between the float render and what the format keeps; share: over the distance of input and target; bytes of one
pair: input and target, both halves.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from stylefx.audio.distance import mr_stft
from stylefx.audio.writing import decode_audio, encode_audio
from stylefx.corpus.reader import open_corpus
from stylefx.corpus.replay import FloatCorpus
from stylefx.evaluation.pairs import choose

FORMATS = ("flac16", "flac24", "pcm16", "pcm24", "float32")


def measured(corpus: FloatCorpus, items: int) -> dict[tuple[str, str], list[tuple[float, float, int]]]:
    """{(source, format): [(floor, distance, bytes of a pair), ...]}"""
    out = defaultdict(list)
    for ref in choose(corpus.samples("train"), items):
        audio = corpus.read(ref, ["a.input", "b.input", "a.target", "b.target"])
        distance = mr_stft(audio["a.input"], audio["a.target"])
        for name in FORMATS:
            files = {half: encode_audio(data, corpus.sample_rate, name, over="scale") for half, data in audio.items()}
            kept = decode_audio(files["a.target"])[0]
            floor = mr_stft(kept, audio["a.target"])
            out[ref.source, name].append((floor, distance, sum(map(len, files.values()))))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--items", type=int, default=40)
    options = parser.parse_args()
    corpus = FloatCorpus.of(open_corpus(options.corpus))
    print(f"{corpus.sample_rate} Hz, halves of {corpus.half_frames / corpus.sample_rate:.2f} s")
    print(f"{'source':<12}{'format':<10}{'items':>6}{'floor':>10}{'input':>8}{'share':>9}{'kB a pair':>11}")
    for (source, name), rows in sorted(measured(corpus, options.items).items(), key=lambda e: (e[0][0], FORMATS.index(e[0][1]))):
        floor, distance, size = np.mean(rows, axis=0)
        print(f"{source:<12}{name:<10}{len(rows):>6}{floor:>10.5f}{distance:>8.3f}{floor / distance:>8.2%}{size / 1000:>11.0f}")


if __name__ == "__main__":
    main()
