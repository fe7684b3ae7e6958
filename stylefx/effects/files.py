"""Chains as YAML or JSON: text, and files by their ending."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from stylefx.config.read import parse_yaml, read_yaml
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.files.atomic import publish_text


def chain_to_yaml(chain: EffectChain) -> str:
    return yaml.safe_dump(chain.to_dict(), sort_keys=False)


def chain_from_yaml(text: str) -> EffectChain:
    """YAML, and so JSON too -> chain; UserError when it is neither or not a chain."""
    return EffectChain.from_dict(parse_yaml(text, "the chain")[0])


def save_chain(chain: EffectChain, path: str | Path) -> None:
    """Write NAME.yaml, NAME.yml or NAME.json."""
    path = Path(path)
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise UserError(f"{path}: a chain is written as .yaml, .yml or .json")
    text = json.dumps(chain.to_dict(), indent=2) + "\n" if path.suffix == ".json" else chain_to_yaml(chain)
    publish_text(path, text)


def load_chain(path: str | Path) -> EffectChain:
    """Read a chain; UserError names the file."""
    data, _ = read_yaml(path, "a chain")
    try:
        return EffectChain.from_dict(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
