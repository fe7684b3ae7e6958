"""Which checkpoint a run goes on from: the newest whose checksums hold, or that of a step that was asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
from safetensors.torch import load as load_tensors

from stylefx.errors import UserError
from stylefx.files.atomic import write_whole
from stylefx.models.checkpoint import CHECKPOINTS

if TYPE_CHECKING:
    from torch import Tensor

FORMAT, VERSION = "stylefx-training-state", 1
SET_ASIDE = "set-aside"  # where --resume STEP moves what came after that step
_SEAL = "seal"


class DamagedCheckpoint(UserError):
    """A checkpoint folder that does not hold what was saved."""


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def step_folders(root: Path) -> list[Path]:
    """The checkpoint folders, the oldest first."""
    return sorted(p for p in root.glob("step-*") if p.is_dir())


def read_pointer(root: Path, name: str) -> str | None:
    """The folder that last.json or best.json names; None where there is no such file, or a damaged one."""
    try:
        return str(json.loads((root / name).read_text())["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def without_seal(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in state.items() if k != _SEAL}


def _seal(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(without_seal(state), sort_keys=True).encode()).hexdigest()


def sealed(state: dict[str, Any]) -> bytes:
    """A state as JSON with a checksum of itself."""
    return json.dumps(state | {_SEAL: _seal(state)}, indent=1).encode()


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """(state, model weights, training tensors) of a checkpoint folder; DamagedCheckpoint when its checksums do not hold."""
    try:
        state = json.loads((folder / "state.json").read_text())
        training = (folder / "training.safetensors").read_bytes()
        card = json.loads((folder / "model.json").read_text())
        weights = (folder / "model.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise DamagedCheckpoint(f"the checkpoint {folder} cannot be read ({error})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("version") != VERSION:
        raise DamagedCheckpoint(f"{folder}/state.json is not a {FORMAT} of version {VERSION}")
    if _SEAL in state and state[_SEAL] != _seal(state):
        raise DamagedCheckpoint(f"{folder}/state.json is damaged: its checksum differs")
    for data, listed, name in ((training, state["sha256"], "training"), (weights, card.get("sha256"), "model")):
        if hashlib.sha256(data).hexdigest() != listed:
            raise DamagedCheckpoint(f"{folder}/{name}.safetensors is damaged: its checksum differs")
    try:
        return state, load_tensors(weights), load_tensors(training)
    except safetensors.SafetensorError as error:
        raise DamagedCheckpoint(f"the checkpoint {folder} does not hold tensors: {error}") from error


def refuse_a_second_start(run: Path, resume: bool) -> None:
    """UserError where a run would begin in a folder that holds checkpoints."""
    if not resume and step_folders(run / CHECKPOINTS):
        raise UserError(f"{run} holds a run already; go on with --resume or choose another folder with --out")


def choose_checkpoint(root: Path, step: int | None, say: Callable[[str], None]) -> Path | None:
    """The folder to go on from; None where there is none at all, so that a run may begin. ``say`` is told what was passed over.

    UserError when there are checkpoints but none is whole, or the one asked for is not: a run never begins anew over them.
    """
    folders = step_folders(root)
    if step is not None:
        return _at_step(root, folders, step, say)
    damaged = []
    for folder in reversed(folders):
        try:
            load_state(folder)
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            continue
        for text in damaged:
            say(f"{text}; going on from {folder.name}")
        return folder
    if damaged:
        raise UserError(
            f"none of the {len(damaged)} checkpoints in {root} is whole ({damaged[0]}); restore one, or use another --out"
        )
    return None


def _at_step(root: Path, folders: list[Path], step: int, say: Callable[[str], None]) -> Path:
    wanted = root / folder_name(step)
    if wanted not in folders:
        steps = ", ".join(str(int(f.name.removeprefix("step-"))) for f in folders) or "none"
        raise UserError(f"{root} holds no checkpoint of step {step}; --resume takes one of: {steps}")
    state, _, _ = load_state(wanted)
    later = [f for f in folders if f.name > wanted.name]
    if later:
        set_aside(root, later, wanted, state, say)
    return wanted


def set_aside(root: Path, later: list[Path], wanted: Path, state: dict[str, Any], say: Callable[[str], None]) -> None:
    """Move the checkpoints after ``wanted`` out of the run's way, so that it does not go on from them; none is removed."""
    best = read_pointer(root, "best.json")
    for folder in later:
        target, number = root / SET_ASIDE / folder.name, 1
        while target.exists():
            target, number = root / SET_ASIDE / f"{folder.name}-{number}", number + 1
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
    if best is not None and best > wanted.name:
        (root / "best.json").unlink(missing_ok=True)
    pointer = {"checkpoint": wanted.name, "metrics": state.get("metrics", {})}
    write_whole(root / "last.json", json.dumps(pointer).encode())
    say(f"going on from {wanted.name}; {len(later)} later checkpoints are set aside in {root / SET_ASIDE}")
