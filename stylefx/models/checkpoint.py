"""Models on disk: weights in NAME.safetensors, everything else in NAME.json. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensor_bytes

from stylefx.errors import UserError
from stylefx.models.style_transfer import StyleTransferModel, build_model

FORMAT, VERSION = "stylefx-model", 1
CHECKPOINTS = "checkpoints"
SHIPPED = "shipped"  # the name under which every command takes the model that comes with the package
_SHIPPED_MODEL = Path(__file__).parent / "shipped" / "tiny"


def write_atomic(path: Path, data: bytes) -> None:
    """Write, flush to disk, rename: a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


def _pair(path: Path) -> tuple[Path, Path]:
    """NAME, NAME.safetensors or NAME.json -> the two files."""
    stem = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def save_model(model: StyleTransferModel, path: str | Path, **extra: Any) -> Path:
    """Write NAME.safetensors and NAME.json (``extra`` joins the JSON); returns the path of the weights."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return save_weights(weights, model.config(), path, **extra)


def save_weights(weights: dict[str, Any], config: dict[str, Any], path: str | Path, **extra: Any) -> Path:
    """Like ``save_model`` from tensors on the CPU and ``model.config()``."""
    weights_path, json_path = _pair(Path(path))
    weights_path.parent.mkdir(parents=True, exist_ok=True)
    data = tensor_bytes(weights)
    card = {"format": FORMAT, "version": VERSION, **config, "sha256": hashlib.sha256(data).hexdigest(), **extra}
    write_atomic(weights_path, data)
    write_atomic(json_path, json.dumps(card, indent=1).encode())
    return weights_path


def find_model(path: str | Path) -> Path:
    """A model's stem from a stem, a file, a checkpoint folder, a run folder (its best checkpoint, else its last) or "shipped"."""
    if str(path) == SHIPPED:
        return _SHIPPED_MODEL
    path = Path(path)
    if not path.is_dir():
        return path
    for pointer in ("best.json", "last.json"):
        file = path / CHECKPOINTS / pointer
        if file.is_file():
            return path / CHECKPOINTS / json.loads(file.read_text())["checkpoint"] / "model"
    if (path / "model.json").is_file():
        return path / "model"
    raise UserError(f"{path} holds no checkpoint; give a run folder of stylefx train, or NAME.safetensors")


def read_card(path: str | Path) -> dict[str, Any]:
    """NAME.json, checked for its format."""
    weights_path, json_path = _pair(find_model(path))
    for file in (json_path, weights_path):
        if not file.is_file():
            raise UserError(f"{file} is missing; a model is NAME.safetensors beside NAME.json")
    try:
        card = json.loads(json_path.read_text())
    except ValueError as error:
        raise UserError(f"{json_path} is not JSON ({error}); copy the checkpoint again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT or card.get("version") != VERSION:
        raise UserError(f"{json_path} is not a {FORMAT} of version {VERSION}; it was written by something else")
    return card


def load_model(path: str | Path, device: str = "cpu") -> StyleTransferModel:
    """The model in evaluation mode; UserError when it is missing, damaged or not ours."""
    card = read_card(path)
    weights_path, json_path = _pair(find_model(path))
    data = weights_path.read_bytes()
    if hashlib.sha256(data).hexdigest() != card.get("sha256"):
        raise UserError(
            f"{weights_path} does not have the checksum in {json_path.name}: it is damaged or from another checkpoint"
        )
    try:
        model = build_model({k: card[k] for k in ("encoder", "controller", "strategy", "chain", "sample_rate")})
        model.load_state_dict(load_tensors(data))
    except (KeyError, RuntimeError, safetensors.SafetensorError) as error:
        raise UserError(f"{weights_path} does not fit the model that {json_path.name} describes: {error}") from error
    return model.to(device).eval()
