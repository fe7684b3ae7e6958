"""Encoder and controller through torch.compile, for ``compile: true``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stylefx.errors import UserError

if TYPE_CHECKING:
    import torch

    from stylefx.models.style_transfer import StyleTransferModel

#: GCC 12 ends in an internal error where the rests of loops become masked vectors (AVX-512).
_ON_A_CPU: dict[str, str | int | bool] = {"cpp.enable_loop_tail_vec": False}


def compile_network(model: StyleTransferModel, device: torch.device) -> None:
    """Torch compiles in the first step; parameters keep their names."""
    for part in (model.encoder, model.controller):
        part.compile(options=_ON_A_CPU if device.type == "cpu" else None)


@contextmanager
def compiler_explained() -> Iterator[None]:
    """UserError in one sentence where torch's compiler fails inside of it: no C++ compiler, or one that cannot do it."""
    try:
        yield
    except RuntimeError as error:
        compiler = sys.modules.get("torch._dynamo.exc")
        if compiler is None or not isinstance(error, compiler.BackendCompilerFailed):
            raise
        first = str(error).splitlines()[0]
        raise UserError(
            f"compile: true: torch cannot compile the encoder or the controller here ({first}); "
            "install a C++ compiler that can (or name it in the variable CXX), or leave compile out"
        ) from error
