"""Renders that a strategy may only call, not differentiate: our own NumPy chain, or a third party's plug-ins."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from stylefx.effects.chain import EffectChain
from stylefx.effects.kernels.biquad import CLAMP
from stylefx.errors import UserError
from stylefx.extras import install_line

if TYPE_CHECKING:
    from stylefx.effects.palette.parametric_eq import ParametricEq

#: (audio float32 (channels, samples), controls float64 (num_controls,), sample_rate) -> audio of the same shape
BlackBox = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


class NumpyChain:
    """The exact render of ``stylefx.effects``."""

    def __init__(self, chain: EffectChain):
        self.chain = chain

    def __call__(self, audio: np.ndarray, controls: np.ndarray, sample_rate: float) -> np.ndarray:
        return self.chain.render(audio, self.chain.settings(controls), sample_rate)


class PedalboardChain:
    """The chain's equaliser and compressor played by pedalboard (extra ``pedalboard``), as an example of a foreign render.

    JUCE's compressor has a hard knee and no make-up gain: the knee is ignored and a gain stage follows. Its time constants
    are exp(-2 pi / (fs t)), ours exp(-ln 9 / (fs t)): t_JUCE = (2 pi / ln 9) t_ours.
    """

    TIME_FACTOR = 2.0 * math.pi / math.log(9.0)
    _FILTERS: ClassVar[dict[str, str]] = {"low_shelf": "LowShelfFilter", "peak": "PeakFilter", "high_shelf": "HighShelfFilter"}

    def __init__(self, chain: EffectChain):
        try:
            import pedalboard
        except ImportError as error:
            raise UserError(f"the render 'pedalboard' needs the extra: {install_line('pedalboard')}") from error
        self.library: Any = pedalboard
        self.chain = chain
        for effect in chain.effects:
            if effect.name not in ("parametric_eq", "compressor", "gain"):
                raise UserError(f"the render 'pedalboard' plays parametric_eq, compressor and gain, not {effect.name!r}")

    def _plugins(self, settings: list[dict[str, Any]], sample_rate: float) -> list[Any]:
        plugins = []
        for effect, entry in zip(self.chain.effects, settings, strict=True):
            highest_hz = CLAMP * 0.5 * sample_rate  # what a foreign filter can hold
            values = {k: min(v, highest_hz) if k.endswith("_hz") else v for k, v in entry["settings"].items()}
            if effect.name == "parametric_eq":
                plugins += [self._band(name, kind, values) for name, kind, *_ in cast("ParametricEq", effect).bands]
            elif effect.name == "compressor":
                plugins.append(
                    self.library.Compressor(
                        threshold_db=values["threshold_db"],
                        ratio=values["ratio"],
                        attack_ms=values["attack_ms"] * self.TIME_FACTOR,
                        release_ms=values["release_ms"] * self.TIME_FACTOR,
                    )
                )
                plugins.append(self.library.Gain(gain_db=values["makeup_gain_db"]))
            else:
                plugins.append(self.library.Gain(gain_db=values["gain_db"]))
        return plugins

    def _band(self, name: str, kind: str, values: dict[str, float]) -> Any:
        if kind not in self._FILTERS:
            raise UserError(f"the render 'pedalboard' plays shelves and peaks, not the band {name!r} of kind {kind!r}")
        return getattr(self.library, self._FILTERS[kind])(
            cutoff_frequency_hz=values[f"{name}_cutoff_hz"], gain_db=values[f"{name}_gain_db"], q=values[f"{name}_q"]
        )

    def __call__(self, audio: np.ndarray, controls: np.ndarray, sample_rate: float) -> np.ndarray:
        board = self.library.Pedalboard(self._plugins(self.chain.settings(controls), sample_rate))
        return board(np.ascontiguousarray(audio, np.float32), sample_rate)


BLACK_BOXES: dict[str, Callable[[EffectChain], BlackBox]] = {"numpy": NumpyChain, "pedalboard": PedalboardChain}


def make_black_box(name: str, chain: EffectChain) -> BlackBox:
    if name not in BLACK_BOXES:
        raise UserError(f"there is no render {name!r}; known: {', '.join(BLACK_BOXES)}")
    return BLACK_BOXES[name](chain)


def render_batch(render: BlackBox, audio: Tensor, controls: Tensor, sample_rate: float, pool: ThreadPoolExecutor) -> Tensor:
    """Render the items in parallel threads. (batch, channels, samples), (batch, P) -> float32 on the audio's device."""
    waves = audio.detach().to("cpu", torch.float32).numpy()
    knobs = controls.detach().to("cpu", torch.float64).numpy()
    done = pool.map(lambda pair: render(pair[0], pair[1], sample_rate), zip(waves, knobs, strict=True))
    return torch.from_numpy(np.stack(list(done))).to(audio.device)
