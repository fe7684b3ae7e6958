"""What a configuration would do: sizes, work per step, memory."""

from __future__ import annotations

import os

import yaml

from stylefx.training.config import TrainingConfig
from stylefx.training.setup import evaluation_set, make_model, open_corpora, trainable, training_set


def _size(count: float) -> str:
    for unit in ("", "k", "M", "G"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}".strip()
        count /= 1000
    return f"{count:.3g} T"


def summary(config: TrainingConfig) -> str:
    """The resolved configuration as YAML, then what it amounts to. Opens the corpora, trains nothing."""
    corpora = open_corpora(config)
    data, held_out = training_set(config, corpora), evaluation_set(config, corpora)
    rate = data.sample_rate
    model = make_model(config, rate)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    micro, passes = config.accumulation(world)
    parameters = sum(p.numel() for p in trainable(model).values())
    item_s = data.frames / rate
    seconds = config.global_batch * item_s
    audio_bytes = micro * data.channels * data.half_frames * 4
    state = parameters * 4 * (4 + (config.optimiser.ema_decay is not None))
    peak = state + audio_bytes * (model.encoder.memory_copies + 3 * config.data.ahead)
    samples = config.steps * config.global_batch
    epochs = f"{samples / data.order.total:.1f} epochs, " if corpora else f"{samples} items, "
    lines = [
        yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).rstrip(),
        "---",
        *(f"corpus {c.store}: {sum(s.samples for s in c.shards_of('train'))} samples, {c.sample_rate} Hz" for c in corpora),
        f"held out: {len(held_out) if held_out is not None else 0} samples of {config.validation.split!r}",
        f"model: {_size(parameters)} trainable parameters, encoder "
        f"{_size(sum(p.numel() for p in model.encoder.parameters()))}, {model.chain.num_controls} controls",
        f"step: {config.global_batch} items x {item_s:.2f} s = {seconds:.1f} s of audio; {world} process(es) x {passes} "
        f"forward passes of {micro}",
        f"run: {config.steps} steps = {epochs}{config.steps * seconds / 3600:.1f} h of audio",
        f"memory per process: about {_size(peak)}B (estimate: weights, Adam, read-ahead, activations), the interpreter aside",
    ]
    return "\n".join(lines)
