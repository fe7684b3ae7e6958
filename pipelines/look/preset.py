"""Hear and see what a preset does to a recording of one's own: pairs drawn from it, with players, spectrograms and distances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.look.page import audio, page, parts, spectrogram
from stylefx.audio.distance import mr_stft
from stylefx.audio.levels import DEFAULT_LEVEL
from stylefx.audio.loudness import integrated_lufs
from stylefx.audio.mixing import mix_down
from stylefx.audio.reading import open_blocks
from stylefx.audio.writing import encode_audio
from stylefx.errors import UserError
from stylefx.files.html import Markup
from stylefx.recipes.chains import Level
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import resolve_chains
from stylefx.recipes.steps import Filtered, apply_steps

SECONDS = 6.0
_LOUDEST = 0.999


def preset_page(preset: str, recording: str | Path, pairs: int = 4, seed: int = 0) -> str:
    """A page of ``pairs`` pairs that the preset makes of a stretch of the recording; UserError for an unknown preset."""
    dry, rate = stretch(recording)
    chains = resolve_chains(preset, None, (), rate)
    drawing = Drawing(seed, rate, Level(peak_dbfs=DEFAULT_LEVEL.value))
    samples = []
    for number in range(pairs):
        recipe = drawing.recipe(chains, f"{preset}-{number}")
        samples.append(_sample(f"Pair {number + 1}", dry, recipe, rate))
    lead = (
        f"{pairs} pairs that the preset {preset} draws (seed {seed}), of {dry.shape[1] / rate:.1f} s of {Path(recording).name} "
        f"at {rate} Hz: the recording, the input and the target, as loud as the preset leaves them."
    )
    return page(f"Preset {preset}", lead, [("Listen", Markup("").join(samples))])


def stretch(recording: str | Path) -> tuple[np.ndarray, int]:
    """The middle of a recording, mono, float32 (1, samples), and its rate."""
    with open_blocks(recording) as reader:
        rate, frames = reader.sample_rate, reader.info.frames
        span = min(frames, round(SECONDS * rate))
        if (frames - span) // 2:
            reader.skip((frames - span) // 2)
        found = mix_down(reader.read(span))
    if not found.size or not np.abs(found).max() > 0.0:
        raise UserError(f"{recording} is silent where it was listened to (its middle); name another recording")
    return found.astype(np.float32), rate


def _sample(name: str, dry: np.ndarray, recipe: dict[str, Any], rate: int) -> Markup:
    try:
        clean, _ = apply_steps(dry, recipe["clean"], rate)
        source, target = (apply_steps(clean, recipe[branch], rate)[0] for branch in ("input", "target"))
    except Filtered as error:
        return parts().sample(name, "", "", [], 1, "", f"left out, as a build would: {error}")
    cells = [_cell(title, wave, rate) for title, wave in (("recording", clean), ("input", source), ("target", target))]
    far = mr_stft(source, target)
    effects = {b: ", ".join(s["effect"] for s in recipe[b] if s["step"] == "effect") or "untouched" for b in ("input", "target")}
    facts = f"MR-STFT distance of input and target {far:.2f}" + (f" · {recipe['label']}" if recipe.get("label") else "")
    words = f"input: {effects['input']}; target: {effects['target']}"
    return parts().sample(name, facts, words, cells, 3, json.dumps({b: recipe[b] for b in ("input", "target")}, indent=1), "")


def _cell(title: str, wave: np.ndarray, rate: int) -> dict[str, Any]:
    gain = min(1.0, _LOUDEST / max(float(np.abs(wave).max()), 1e-9))
    try:
        loudness = f", {integrated_lufs(wave, rate):.1f} LUFS"
    except UserError:  # shorter than a gating block
        loudness = ""
    lowered = f", lowered by {-20 * np.log10(gain):.1f} dB to be played" if gain < 1.0 else ""
    return {
        "picture": spectrogram(wave.mean(0), rate),
        "player": audio(encode_audio(wave * np.float32(gain), rate, "flac16"), "flac", title),
        "caption": f"{title}{loudness}{lowered}",
    }
