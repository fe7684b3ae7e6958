"""Encoders by name."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from stylefx.errors import UserError
from stylefx.models.encoder import Encoder

_ENCODERS = {
    "tiny": "stylefx.models.tiny:TinyEncoder",
    "base": "stylefx.models.base:BaseEncoder",
    "paper-b2": "stylefx.models.paper_b2:PaperB2Encoder",
}


def encoder_names() -> list[str]:
    return list(_ENCODERS)


def make_encoder(name: str, **options: Any) -> Encoder:
    """The encoder ``name``; UserError for an unknown name or an option that it does not take."""
    if name not in _ENCODERS:
        near = difflib.get_close_matches(str(name), _ENCODERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"there is no encoder {name!r}{hint} (known: {', '.join(_ENCODERS)})")
    module, cls = _ENCODERS[name].split(":")
    try:
        return getattr(importlib.import_module(module), cls)(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"encoder {name!r} does not take these options: {error}") from error
