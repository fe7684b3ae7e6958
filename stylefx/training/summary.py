"""What a configuration would do: sizes, work per step, memory."""

from __future__ import annotations

import os

import torch
import yaml

from stylefx.corpus.dataset import TrainingSet
from stylefx.corpus.reader import Corpus
from stylefx.files.processes.cores import cores
from stylefx.training.config import MOST_READERS, TrainingConfig
from stylefx.training.setup import evaluation_set, make_model, open_corpora, trainable, training_set

#: items of three halves of 131072 samples that one reader gives in a second from FLAC, and how many times as many from WAV
_FLAC_ITEMS_S, _WAV_TIMES = 150.0, 2.5
_MANY_PROCESSORS, _PROCESSORS_PER_READING = 8, 4
_FEW = 8  # items per process below which a GPU waits for the host more than it computes


def _size(count: float) -> str:
    for unit in ("", "k", "M", "G"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}".strip()
        count /= 1000
    return f"{count:.3g} T"


def _advice(config: TrainingConfig, world: int) -> list[str]:
    """How the work divides, and where it divides badly."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    readers, items, beside = config.training_readers(here), config.global_batch // world, config.data.reader_processes
    shared = f" in {beside} reading process(es)" if beside else ""
    lines = [
        f"readers: {readers} thread(s) per process{shared}, {readers * here} on this machine with {os.cpu_count()} processors"
    ]
    if not beside and config.data.stream == "index" and cores() >= _MANY_PROCESSORS and _on_cuda(config.device):
        lines.append(
            f"  readers hold up the steps of a GPU, whose interpreter they share: set data.reader_processes, to "
            f"{max(1, cores() // here // _PROCESSORS_PER_READING)} perhaps"
        )
    if readers * here > (os.cpu_count() or 1):
        lines.append("  more readers than processors: set data.workers lower, or leave it out")
    if world > 1 and items < _FEW:
        lines.append(
            f"  {items} item(s) per process keep a GPU busy for less time than a step's launches and sums take: raise "
            f"global_batch (and the learning rate), or use fewer processes"
        )
    return lines


def _on_cuda(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


def _reading(config: TrainingConfig, corpora: list[Corpus], frames: int) -> list[str]:
    """What the readers can give at most, and the cure where that is too little; more than ``MOST_READERS`` threads of an
    interpreter give no more."""
    readers, most = config.training_readers(int(os.environ.get("LOCAL_WORLD_SIZE", "1"))), MOST_READERS
    most *= max(1, config.data.reader_processes)
    formats = {str(corpus.index.get("audio_format", "flac16")) for corpus in corpora}
    if config.data.render != "stored" or not readers or not corpora:
        return []
    flac = any(name.startswith("flac") for name in formats)
    rate = _FLAC_ITEMS_S * (1.0 if flac else _WAV_TIMES) * min(readers, most) * 131072 / frames
    lines = [f"reading: some {_size(rate)} items a second per process ({'FLAC' if flac else 'WAV'}, a processor for each reader)"]
    if flac:
        lines.append(
            f"  where the run waits for data (`data wait` in its lines), build the corpus with audio_format: pcm24 (WAV), which "
            f"is read {_WAV_TIMES:g} times as fast; more than {most} readers wait for one another"
        )
    return lines


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
    peak = state + audio_bytes * (model.encoder.memory_copies + 3 * config.data.ahead * max(1, config.data.reader_processes))
    samples = config.steps * config.global_batch
    epochs = f"{samples / data.order.total:.1f} epochs, " if isinstance(data, TrainingSet) else f"{samples} items, "
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
        *_advice(config, world),
        *_reading(config, corpora, data.half_frames),
        f"memory per process: about {_size(peak)}B (estimate: weights, Adam, read-ahead, activations), the interpreter aside",
    ]
    return "\n".join(lines)
