"""A run's checkpoints: one folder per step, published by a rename; the newest few and the best are kept.

    checkpoints/step-00000500/model.safetensors + model.json     the weights to use (the averaged ones where averaging is on)
                              training.safetensors               Adam's moments (and the raw weights beside averaged ones)
                              state.json                         step, position in the data, what the run was, checksums
    checkpoints/last.json, best.json                             which folder

Nothing is pickled. The tensors are copied before ``save`` returns; a thread writes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from stylefx.errors import UserError
from stylefx.models.checkpoint import CHECKPOINTS, save_weights, write_atomic

FORMAT, VERSION = "stylefx-training-state", 1


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """Adam's state as {"exp_avg/<parameter>": tensor, ...}; ``names`` in the order of the optimiser's parameters."""
    state = optimiser.state_dict()["state"]
    return {f"{kind}/{names[i]}": value for i, entry in state.items() for kind, value in entry.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, names: list[str], tensors: dict[str, Tensor]) -> None:
    """The inverse of ``optimiser_tensors``."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, name = key.split("/", 1)
        state.setdefault(names.index(name), {})[kind] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


class Checkpoints:
    """Saves and finds the checkpoints of a run folder."""

    def __init__(self, run: Path, keep_last: int):
        self.root, self.keep_last = run / CHECKPOINTS, keep_last
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="stylefx-checkpoint")
        self._pending: Future | None = None

    def wait(self) -> None:
        """Until the last save is on disk; raises what went wrong there."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def close(self) -> None:
        try:
            self.wait()
        finally:
            self._pool.shutdown()

    def save(
        self,
        step: int,
        config: dict[str, Any],
        weights: dict[str, Tensor],
        training: dict[str, Tensor],
        state: dict[str, Any],
        best: bool = False,
    ) -> None:
        """Copy the tensors and let a thread publish ``step-N``; with ``best`` it becomes the best so far."""
        self.wait()
        copies = [{k: v.detach().to("cpu", copy=True).contiguous() for k, v in part.items()} for part in (weights, training)]
        self._pending = self._pool.submit(self._write, step, config, *copies, dict(state), best)

    def _write(self, step: int, config: dict, weights: dict, training: dict, state: dict, best: bool) -> None:
        name = f"step-{step:08d}"
        temporary, final = self.root / f".{name}.{os.getpid()}.tmp", self.root / name
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_weights(weights, config, temporary / "model", step=step, metrics=state.get("metrics", {}))
        data = tensor_bytes(training)
        write_atomic(temporary / "training.safetensors", data)
        card = {"format": FORMAT, "version": VERSION, "sha256": hashlib.sha256(data).hexdigest(), "step": step, **state}
        write_atomic(temporary / "state.json", json.dumps(card, indent=1).encode())
        if final.exists():  # left by a run that was killed before it could point to it
            shutil.rmtree(final)
        os.rename(temporary, final)
        pointer = json.dumps({"checkpoint": name, "metrics": state.get("metrics", {})}).encode()
        if best:
            write_atomic(self.root / "best.json", pointer)
        write_atomic(self.root / "last.json", pointer)
        self._prune(name)

    def _prune(self, newest: str) -> None:
        """Remove all but the newest few and the best, and what killed runs left half-written or beyond their last one."""
        names = sorted(p.name for p in self.root.glob("step-*"))
        keep = set([n for n in names if n <= newest][-self.keep_last :]) | {self._named("best.json")}
        for name in names:
            if name not in keep:
                shutil.rmtree(self.root / name)
        for leftover in self.root.glob(".step-*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _named(self, pointer: str) -> str | None:
        file = self.root / pointer
        return json.loads(file.read_text())["checkpoint"] if file.is_file() else None

    def latest(self) -> Path | None:
        """The folder of the last published checkpoint."""
        name = self._named("last.json")
        return None if name is None else self.root / name


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """(state, model weights, training tensors) of a checkpoint folder; UserError when damaged or foreign."""
    try:
        state = json.loads((folder / "state.json").read_text())
        training = (folder / "training.safetensors").read_bytes()
        card = json.loads((folder / "model.json").read_text())
        weights = (folder / "model.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"the checkpoint {folder} cannot be read ({error}); remove it and resume from an older one") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("version") != VERSION:
        raise UserError(f"{folder}/state.json is not a {FORMAT} of version {VERSION}; it was written by something else")
    for data, listed, name in ((training, state["sha256"], "training"), (weights, card.get("sha256"), "model")):
        if hashlib.sha256(data).hexdigest() != listed:
            raise UserError(f"{folder}/{name}.safetensors is damaged: its checksum differs; resume from an older checkpoint")
    try:
        return state, load_tensors(weights), load_tensors(training)
    except safetensors.SafetensorError as error:
        raise UserError(f"the checkpoint {folder} does not hold tensors: {error}") from error
