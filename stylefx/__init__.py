"""Style transfer of audio effects.

    import stylefx

    corpus = stylefx.build_corpus("mine.yaml", out="corpora/mine")       # or a dict in place of the file
    done = stylefx.transfer(audio, reference, sample_rate=48000)         # arrays, tensors or files

``import stylefx`` loads nothing: each name below loads its module, and with it torch where it needs it, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: names that users call -> the module that has them, imported by name: everything below imports this file for the version
_PUBLIC = {
    "build_corpus": "stylefx.building",
    "plan_corpus": "stylefx.building",
    "open_corpus": "stylefx.corpus.opened",
    "transfer": "stylefx.inference.python.call",
    "EffectChain": "stylefx.effects.chain",
    "StyleTransfer": "stylefx.inference.transfer",
    "TransferOptions": "stylefx.inference.options",
    "load_settings": "stylefx.inference.settings_file",
    "make_effect": "stylefx.effects.registry",
    "render_file": "stylefx.inference.rendering.file",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'stylefx' has no attribute {name!r}; it has {', '.join(_PUBLIC)}")
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
