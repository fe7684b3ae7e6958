"""Encoders and controllers by name; encoders of plug-ins under the entry point ``stylefx.encoders``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stylefx import plugins
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError, first_line
from stylefx.models.encoder import Encoder
from stylefx.nearest import did_you_mean

if TYPE_CHECKING:
    from stylefx.models.controller import Controller
    from stylefx.models.solver.controller import SolverController

_ENCODERS = {
    "tiny": "stylefx.models.tiny:TinyEncoder",
    "base": "stylefx.models.base:BaseEncoder",
    "paper-b2": "stylefx.models.paper_b2:PaperB2Encoder",
    "averages": "stylefx.models.solver.averages:AveragesEncoder",
}
_CONTROLLERS = {
    "mlp": "stylefx.models.controller:Controller",
    "solver": "stylefx.models.solver.controller:SolverController",
}


def make_encoder(name: str, **options: Any) -> Encoder:
    """The encoder ``name``; UserError for an unknown name or an option that it does not take."""
    if name not in _ENCODERS and plugins.provider(plugins.ENCODERS, name):
        return _built(plugins.load(plugins.ENCODERS, name), "encoder", name, options)
    return _made(_ENCODERS, "encoder", name, options)


def make_controller(
    encoder: Encoder, chain: EffectChain, sample_rate: float, name: str = "mlp", **options: Any
) -> Controller | SolverController:
    """The controller ``name`` for an encoder and a chain; UserError as for encoders."""
    parts = {"encoder": encoder, "chain": chain, "sample_rate": sample_rate}
    return _made(_CONTROLLERS, "controller", name, parts | options)


def _made(known: dict[str, str], kind: str, name: str, options: dict[str, Any]) -> Any:
    if name not in known:
        names = [*known, *(plugins.provided(plugins.ENCODERS) if kind == "encoder" else ())]
        raise UserError(f"there is no {kind} {name!r}{did_you_mean(name, names)} (known: {', '.join(names)})")
    module, cls = known[name].split(":")
    return _built(getattr(importlib.import_module(module), cls), kind, name, options)


def _built(cls: Any, kind: str, name: str, options: dict[str, Any]) -> Any:
    try:
        return cls(**options)
    except (TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError, LookupError) as error:
        raise UserError(f"{kind} {name!r} does not take these options: {first_line(error)}") from error
