"""A finished corpus with known truth: dry inputs, targets by equaliser and compressor, every step and gain recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from stylefx.effects.chain import EffectChain
from stylefx.effects.palette.compressor import Compressor
from stylefx.effects.presets import deepafx_st_chain
from stylefx.keyed import Draw
from stylefx.models.style_transfer import StyleTransferModel, build_model
from tests.support.programme import speech_like
from tests.support.stored_corpus import encode, write_index, write_shard

RATE = 24000


def target_settings(draw: Draw) -> list[dict]:
    """Clearly audible settings of the default chain."""
    chain = deepafx_st_chain()
    controls = np.array(chain.default_controls)
    names = [p.name for p in chain.parameters]
    for name in ("low_shelf_gain_db", "band2_gain_db", "high_shelf_gain_db"):
        controls[names.index(name)] = draw.uniform(0.2, 0.8)
    for name in ("threshold_db", "ratio", "attack_ms", "release_ms"):
        controls[names.index(name)] = draw.uniform(0.4, 0.6)
    return chain.settings(controls)


def normalise(audio: np.ndarray) -> tuple[np.ndarray, dict]:
    gain = 10 ** (-12 / 20) / np.abs(audio).max()
    return (audio * gain).astype(np.float32), {"step": "normalise", "peak_dbfs": -12, "gain_db": float(20 * np.log10(gain))}


def make_sample(number: int, half_frames: int, rate: int = RATE, input_eq: bool = False) -> dict:
    """Halves as audio, and the JSON; with ``input_eq`` the input branch is coloured, so that no equivalent exists."""
    draw = Draw(0, "test corpus", str(number))
    chain = deepafx_st_chain()
    clean, _ = normalise(speech_like(2 * half_frames, rate, seed=number))
    eq, compressor = target_settings(draw)
    after_eq, between = normalise(EffectChain.of(chain.effects[0]).render(clean, [eq], rate))
    target, end = normalise(Compressor().render(after_eq, compressor["settings"], rate))
    own = dict(compressor["settings"])
    own["threshold_db"] -= between["gain_db"]
    own["makeup_gain_db"] += between["gain_db"] + end["gain_db"]
    meta = {
        "format": 1,
        "clean": [],
        "input": [],
        "target": [{"step": "effect", **eq}, between, {"step": "effect", **compressor}, end],
        "equivalent": [eq, {"effect": "compressor", "settings": own}],
    }
    source = clean
    if input_eq:
        colour = target_settings(draw)[0]
        source, gain = normalise(EffectChain.of(chain.effects[0]).render(clean, [colour], rate))
        meta["input"] = [{"step": "effect", **colour}, gain]
        del meta["equivalent"]
    return {"input": source, "target": target, "dry": clean, "json": meta}


def make_truth_corpus(
    root: Path, splits: dict[str, int], groups: int = 4, half_frames: int = 32768, input_eq: bool = False, dry: bool = False
) -> Path:
    """``splits`` gives the samples per split; ``groups`` per split share the samples evenly."""
    entries, number = [], 0
    for split, count in splits.items():
        samples = []
        for i in range(count):
            group = hashlib.blake2b(f"{split}/{i % groups}".encode(), digest_size=8).hexdigest()
            key = f"made-{group}-{number:05d}"
            made = make_sample(number, half_frames, input_eq=input_eq)
            members = {}
            for branch in ("input", "target", *(["dry"] if dry else [])):
                for half, part in (("a", slice(0, half_frames)), ("b", slice(half_frames, None))):
                    members[f"{half}.{branch}.flac"] = encode(made[branch][:, part], RATE, "flac")
            members["json"] = json.dumps({"key": key, **made["json"]}).encode()
            samples.append((key, members))
            number += 1
        entries.append(write_shard(root, f"{split}/{split}-000000", samples))
    write_index(root, entries, half_frames, RATE, 1, dry)
    return root


def untrained_model(encoder: str = "tiny") -> StyleTransferModel:
    """A small model with the same random weights every time."""
    import torch

    torch.manual_seed(0)
    return build_model({"encoder": {"name": encoder}, "chain": deepafx_st_chain().to_dict(), "sample_rate": RATE})
