"""``transfer --refine`` on the items of P9, so that they can be measured beside the plain prediction.

stylefx evaluate CHECKPOINT CORPUS --protocol p9 --items-to out/items
python -m benchmarks.outside.refined CHECKPOINT out/items out/refined --steps 40 --intent style
stylefx evaluate CHECKPOINT CORPUS --protocol p9 --outside refined=out/refined
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from stylefx.audio.reading import read_audio
from stylefx.audio.writing import write_audio
from stylefx.inference.hearing.predict import predict
from stylefx.inference.hearing.windows import Analysis, Window
from stylefx.inference.refine import refine
from stylefx.models.checkpoint import load_model


def analysis(path: Path) -> Analysis:
    """An item as it is: items are normalised already, and short enough for one window."""
    audio, rate = read_audio(path)
    return Analysis(path.name, rate, audio.shape[0], audio.shape[1], (Window(audio, 0.0, 0.0, 0.0),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("items", type=Path)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--intent")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.checkpoint).eval()
    given.outputs.mkdir(parents=True, exist_ok=True)
    for path in sorted(given.items.glob("*-input.wav")):
        name = path.name.removesuffix("-input.wav")
        source, reference = analysis(path), analysis(given.items / f"{name}-reference.wav")
        if source.sample_rate != model.sample_rate:
            parser.error(f"items are at {source.sample_rate} Hz, the model at {model.sample_rate:g}; use a corpus of its rate")
        prediction = predict(model, source, [reference], (), given.intent)
        refined = refine(model, prediction, source, [reference], (), given.steps, given.intent)
        audio, rate = source.windows[0].audio, source.sample_rate
        output = model.chain.render(audio, model.chain.settings(refined.controls), rate)
        write_audio(given.outputs / f"{name}.wav", output, rate, "float32")
        print(f"{name} {refined.before:.2f} -> {refined.after:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
