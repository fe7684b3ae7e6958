"""Models that lie on a hub, fetched once: ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HOME`` are huggingface_hub's own settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from stylefx.errors import ModelError, UserError, first_line

HUB = "hub:"  # how a model on a hub begins, hub:user/name[@revision]
CARD = "config.json"
_FILES = (CARD, "model.safetensors")


def pull_from_hub(name: str, revision: str | None = None) -> Path:
    """A local folder with the files of ``user/name``, fetched once and kept in huggingface_hub's cache."""
    name, _, wanted = name.removeprefix(HUB).partition("@")
    check_name(name)
    library = hub_library()
    try:
        files = [
            library.hf_hub_download(name, file, revision=revision or wanted or None)
            for file in ("config.json", "model.safetensors")
        ]
    except Exception as error:
        raise ModelError(
            f"hub:{name} cannot be fetched ({first_line(error)}); check the name, HF_TOKEN and HF_ENDPOINT"
        ) from error
    return Path(files[0]).parent


def endpoint() -> str | None:
    """The hub that is spoken to, where it is not the client's own default."""
    return os.environ.get("HF_ENDPOINT") or None


def check_name(name: str) -> None:
    """UserError for what is no name on a hub, before any work is spent."""
    user, _, rest = name.partition("/")
    if not user or not rest or "/" in rest:
        raise UserError(f"{name!r} is no name on a hub; give user/name")


def hub_library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(f"models on a hub need huggingface_hub ({error}); pip install 'stylefx[hub]'") from error
    return huggingface_hub
