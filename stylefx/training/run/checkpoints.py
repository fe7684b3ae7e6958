"""A run's checkpoints: one folder per step, published by a rename; the newest few and the best are kept.

    checkpoints/step-00000500/model.safetensors + model.json     the weights to use (the averaged ones where averaging is on)
                              training.safetensors               Adam's moments (and the raw weights beside averaged ones)
                              state.json                         step, position in the data, what the run was, checksums
    checkpoints/last.json, best.json                             which folder

Nothing is pickled. The tensors are copied before ``save`` returns; a thread writes them. A save that a disk refuses leaves
nothing behind and is tried again at the next one; three in a row end the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save as tensor_bytes

from stylefx.errors import IncompleteError
from stylefx.files.atomic import publish, write_whole
from stylefx.files.sentences import explain_write_error
from stylefx.models.checkpoint import CHECKPOINTS, save_weights
from stylefx.training.run.choice import FORMAT, VERSION, folder_name, read_pointer, sealed, step_folders, without_seal

if TYPE_CHECKING:
    from torch import Tensor

FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class Saving:
    """What a checkpoint holds: the model's description, weights to use, training tensors, and everything small."""

    step: int
    config: dict[str, Any]
    weights: dict[str, Tensor]
    training: dict[str, Tensor]
    state: dict[str, Any] = field(default_factory=dict)

    def copied(self) -> Saving:
        weights, training = (
            {k: v.detach().to("cpu", copy=True).contiguous() for k, v in part.items()} for part in (self.weights, self.training)
        )
        return Saving(self.step, self.config, weights, training, dict(self.state))


class Checkpoints:
    """Saves the checkpoints of a run folder. ``say`` prints one line; ``guard`` raises when the folder is no longer ours."""

    def __init__(self, run: Path, keep_last: int, say: Callable[[str], None], guard: Callable[[], None] = lambda: None):
        self.root, self.keep_last, self.say, self.guard = run / CHECKPOINTS, keep_last, say, guard
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="stylefx-checkpoint")
        self._pending: Future[None] | None = None
        self._failed: list[IncompleteError] = []  # in a row

    def wait(self, to_the_end: bool = False) -> None:
        """Until the last save is done. IncompleteError after too many failures in a row; ``to_the_end``: after any."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()
        if self._failed and (to_the_end or len(self._failed) >= FAILURES_IN_A_ROW):
            raise self._failed[-1]

    def check(self) -> None:
        """IncompleteError as soon as too many saves failed; waits for none."""
        if self._pending is None or self._pending.done():
            self.wait()

    def close(self) -> None:
        self._pool.shutdown()

    def save(self, saving: Saving) -> None:
        """Copy the tensors and let a thread publish ``step-N``."""
        self.guard()
        self.wait()
        self._pending = self._pool.submit(self._attempt, saving.step, self._write, saving.copied())

    def judge(self, step: int, changes: dict[str, Any], best: bool) -> None:
        """Write down what the validation of a saved step found; with ``best`` its checkpoint becomes the best so far."""
        self.wait()
        if not (self.root / folder_name(step)).is_dir():
            return  # that save failed, and was said
        self._pending = self._pool.submit(self._attempt, step, self._write_verdict, step, changes, best)

    def _attempt(self, step: int, write: Callable[..., None], *arguments: Any) -> None:
        try:
            write(*arguments)
        except OSError as error:
            for leftover in self.root.glob(".step-*.tmp"):
                shutil.rmtree(leftover, ignore_errors=True)
            reason = str(explain_write_error(str(self.root), folder_name(step), error))
            self._failed.append(IncompleteError(f"{reason}; go on with --resume"))
            if len(self._failed) < FAILURES_IN_A_ROW:
                self.say(f"the checkpoint of step {step} is not saved ({reason}); tried again at the next one")
        else:
            self._failed.clear()

    def _write(self, saving: Saving) -> None:
        for leftover in self.root.glob(".step-*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        name = folder_name(saving.step)
        temporary, final = self.root / f".{name}.{os.getpid()}.tmp", self.root / name
        temporary.mkdir(parents=True)
        metrics = saving.state.get("metrics", {})
        save_weights(saving.weights, saving.config, temporary / "model", step=saving.step, metrics=metrics)
        data = tensor_bytes(saving.training)
        write_whole(temporary / "training.safetensors", data)
        card = {"format": FORMAT, "version": VERSION, "sha256": hashlib.sha256(data).hexdigest(), "step": saving.step}
        write_whole(temporary / "state.json", sealed(card | saving.state))
        if final.exists():  # left by a run that was killed before it could point to it, or damaged since
            shutil.rmtree(final)
        publish(temporary, final)
        write_whole(self.root / "last.json", json.dumps({"checkpoint": name, "metrics": metrics}).encode())
        self._prune(name)

    def _write_verdict(self, step: int, changes: dict[str, Any], best: bool) -> None:
        """The state's card comes last: until then a resumed run validates again and writes the same."""
        name, folder = folder_name(step), self.root / folder_name(step)
        metrics = changes["metrics"]
        card = json.loads((folder / "model.json").read_text()) | {"metrics": metrics}
        write_whole(folder / "model.json", json.dumps(card, indent=1).encode())
        pointer = json.dumps({"checkpoint": name, "metrics": metrics}).encode()
        if best:
            write_whole(self.root / "best.json", pointer)
        write_whole(self.root / "last.json", pointer)
        state = without_seal(json.loads((folder / "state.json").read_text()))
        write_whole(folder / "state.json", sealed(state | changes))
        self._prune(name)

    def _prune(self, newest: str) -> None:
        """Remove all but the newest few and the best, and what lies beyond the newest: it was damaged, or never pointed to."""
        names = [p.name for p in step_folders(self.root)]
        keep = set([n for n in names if n <= newest][-self.keep_last :]) | {read_pointer(self.root, "best.json")}
        for name in names:
            if name not in keep:
                shutil.rmtree(self.root / name)
