"""Models on disk: weights in NAME.safetensors, everything else in NAME.json. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensor_bytes

from stylefx.audio.levels import LevelConvention
from stylefx.errors import ModelError
from stylefx.files.atomic import write_with_card
from stylefx.models import hub
from stylefx.models.style_transfer import StyleTransferModel, build_model
from stylefx.plugins import check_installed

FORMAT, VERSION = "stylefx-model", 1


CHECKPOINTS = "checkpoints"


SHIPPED = "shipped"  # the name under which every command takes the model that is the default


_SHIPPED_FOLDER = Path(__file__).parent / "shipped"
_DEFAULT = "studio"


#: what a model is made of, as its card states it
_PARTS: dict[str, Any] = {"encoder": dict, "controller": dict, "strategy": dict, "chain": dict, "sample_rate": (int, float)}


#: what building or filling a model raises for a card or weights that are not what they should be
_DAMAGE = (
    KeyError,
    IndexError,
    RuntimeError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    safetensors.SafetensorError,
)
_REASON_LENGTH = 500
_LARGEST = 4096  # of a size in a card, whatever the weights


def _pair(path: Path) -> tuple[Path, Path]:
    """NAME, NAME.safetensors or NAME.json -> the two files. The card of a hub's model.safetensors is config.json."""
    stem = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    weights, card = stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")
    on_hub = card.with_name(hub.CARD)
    return weights, on_hub if card.name == "model.json" and on_hub.is_file() and not card.is_file() else card


def model_files(path: str | Path) -> tuple[Path, Path]:
    """(weights, card) of a model."""
    return _pair(find_model(path))


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
    write_with_card(weights_path, data, json_path, json.dumps(card, indent=1).encode())
    return weights_path


def shipped_names() -> list[str]:
    """The names under which models come with the package, "shipped" (the default one) first."""
    return [SHIPPED, *sorted(folder.name for folder in _SHIPPED_FOLDER.iterdir() if (folder / "model.json").is_file())]


def find_model(path: str | Path) -> Path:
    """A model's stem from a stem, a file, a checkpoint folder, a run folder (its best checkpoint, else its last), a folder as on
    a hub, hub:user/name, or the name of one that comes with the package, where no file or folder is called so."""
    if str(path).startswith(hub.HUB):
        return hub.pull_from_hub(str(path)) / "model"
    if str(path) in shipped_names() and not Path(path).exists():
        return _SHIPPED_FOLDER / (_DEFAULT if str(path) == SHIPPED else str(path)) / "model"
    path = Path(path)
    if not path.is_dir():
        return path
    for pointer in ("best.json", "last.json"):
        file = path / CHECKPOINTS / pointer
        if file.is_file():
            return path / CHECKPOINTS / json.loads(file.read_text())["checkpoint"] / "model"
    if (path / "model.json").is_file() or (path / hub.CARD).is_file():
        return path / "model"
    raise ModelError(f"{path} holds no checkpoint; give a run folder of stylefx train, or NAME.safetensors")


def read_card(path: str | Path) -> dict[str, Any]:
    """NAME.json, checked for its format."""
    weights_path, json_path = _pair(find_model(path))
    for file in (json_path, weights_path):
        if not file.is_file():
            raise ModelError(f"{file} is missing; a model is NAME.safetensors beside NAME.json")
    try:
        card = json.loads(json_path.read_text())
    except ValueError as error:
        raise ModelError(f"{json_path} is not JSON ({error}); copy the checkpoint again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT or card.get("version") != VERSION:
        raise ModelError(f"{json_path} is not a {FORMAT} of version {VERSION}; it was written by something else")
    return card


def load_model(path: str | Path, device: str = "cpu") -> StyleTransferModel:
    """The model in evaluation mode; UserError when it is missing, damaged or not ours."""
    card = read_card(path)
    weights_path, json_path = _pair(find_model(path))
    data = weights_path.read_bytes()
    if hashlib.sha256(data).hexdigest() != card.get("sha256"):
        raise ModelError(
            f"{weights_path} does not have the checksum in {json_path.name}: it is damaged or from another checkpoint"
        )
    check_installed(card.get("plugins", ()), str(json_path))
    _check_plausible(card, json_path, len(data))
    try:
        model = build_model({k: card[k] for k in _PARTS})
        model.load_state_dict(load_tensors(data))
        model.level = LevelConvention.of(card.get("level"))
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:_REASON_LENGTH] or type(error).__name__
        raise ModelError(f"{weights_path} does not fit the model that {json_path.name} describes: {reason}") from error
    return model.to(device).eval()


def _check_plausible(card: dict[str, Any], json_path: Path, weights_bytes: int) -> None:
    """ModelError for a card that describes no model, or one so large that its weights could not be these: nothing of that size is
    ever made."""
    for part, kind in _PARTS.items():
        if not isinstance(card.get(part), kind) or isinstance(card[part], bool):
            raise ModelError(f"{json_path}: {part} is {card.get(part)!r}, which describes no model; copy the checkpoint again")
    if not 1000.0 <= card["sample_rate"] <= 1e6:
        raise ModelError(
            f"{json_path}: sample_rate is {card['sample_rate']!r}, which is no rate of a model; copy the checkpoint again"
        )
    most = max(_LARGEST, math.isqrt(weights_bytes))
    network = card["strategy"].get("network")  # of a strategy nothing else is a size: steps and seeds may be any number
    sizes = {"encoder": card["encoder"], "controller": card["controller"]}
    sizes |= {"strategy.network": network} if isinstance(network, dict) else {}
    for part, options in sizes.items():
        for name, value in options.items():
            if isinstance(value, (int, float)) and not abs(value) <= most:
                raise ModelError(f"{json_path}: {part}.{name} is {value!r}, more than weights of {weights_bytes} bytes can hold")
