"""A chain of effects in torch: controls or settings in, audio out, exact gradients to all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stylefx.differentiable.operators.forms import full_precision
from stylefx.differentiable.operators.scans import state_dtype
from stylefx.differentiable.registry import make_twin
from stylefx.effects.base import refuse_interleaved
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError


class DifferentiableChain(nn.Module):
    """The torch form of an ``EffectChain``: the same parameters, the same sound (to rounding), with gradients.

    ``method``: "recursive" and "frequency" choose how equalisers filter, "auto" takes what is fastest on the audio's
    device: compiled recursions on the CPU, the frequency domain elsewhere. A mix and a bypass in the chain apply here too.
    Every item starts from silence. Nothing is trainable and nothing is saved: the chain itself is written down elsewhere.
    """

    def __init__(self, chain: EffectChain, method: str = "auto"):
        super().__init__()
        self.chain, self.method = chain, method
        self._twins = [make_twin(effect, method) for effect in chain.effects]
        parameters = chain.parameters
        # value = minimum exp(control ratio) + control span, one of ratio and span being 0
        self._tables = torch.tensor(
            [
                (p.minimum, 0.0, math.log(p.maximum / p.minimum)) if p.scale == "log" else (p.minimum, p.maximum - p.minimum, 0.0)
                for p in parameters
            ],
            dtype=torch.float64,
        ).reshape(-1, 3)
        self._rows: list[list[float]] = self._tables.tolist()
        self._maps: dict[torch.device, Tensor] = {}

    @property
    def num_controls(self) -> int:
        return self.chain.num_controls

    def extra_repr(self) -> str:
        return f"{' -> '.join(e.name for e in self.chain.effects)}, {self.num_controls} controls, method={self.method!r}"

    # -- controls -> settings

    def settings(self, controls: Tensor) -> list[dict[str, Tensor]]:
        """Controls (items, num_controls) -> per effect the physical values, each (items,), float64."""
        if controls.ndim != 2 or controls.shape[1] != self.num_controls:
            shape = tuple(controls.shape)
            raise UserError(f"the chain has {self.num_controls} controls, got controls of shape {shape}; give (items, controls)")
        values = iter(self._physical(controls).unbind(-1))
        return [{p.name: next(values) for p in effect.parameters} for effect in self.chain.effects]

    def _physical(self, controls: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # loops in a graph take no tensors but their own, so the ranges are numbers in it
            columns = zip(controls.to(state_dtype(controls.device)).unbind(-1), self._rows, strict=True)
            return torch.stack([low * torch.exp(c * ratio) + c * span for c, (low, span, ratio) in columns], -1)
        if controls.device not in self._maps:
            with torch.inference_mode(False):  # whoever trains later may use it too
                self._maps[controls.device] = self._tables.to(controls.device, state_dtype(controls.device))
        low, span, ratio = self._maps[controls.device].unbind(-1)
        controls = controls.to(low.dtype)
        return low * torch.exp(controls * ratio) + controls * span

    # -- render

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        """audio (items, channels, n), float32 or float64; controls (items, num_controls) in [0, 1]; same shape out."""
        return self._render(audio, self.settings(controls), sample_rate, in_range=True)

    def render(self, audio: Tensor, settings: Sequence[Mapping[str, Any]], sample_rate: float, in_range: bool = False) -> Tensor:
        """Like ``forward`` with physical values, which may lie outside the ranges: per effect ``{parameter: (items,)}``,
        or the plain form ``{"effect": name, "settings": {...}, "mix": ..., "bypass": ...}`` for all items alike.

        ``in_range`` promises that they do not: then filters on a GPU need not read back how long they ring, and the host
        never waits for the device."""
        return self._render(audio, settings, sample_rate, in_range)

    def _render(self, audio: Tensor, settings: Sequence[Mapping[str, Any]], sample_rate: float, in_range: bool) -> Tensor:
        if audio.ndim != 3:
            raise UserError(f"audio must have the shape (items, channels, samples), got {tuple(audio.shape)}")
        refuse_interleaved(audio.shape)
        if len(settings) != len(self._twins):
            raise UserError(f"the chain has {len(self._twins)} effects, the settings have {len(settings)}")
        if audio.dtype not in (torch.float32, torch.float64):
            audio = audio.float()
        # Elsewhere the look would make the host wait for the device.
        if audio.device.type == "cpu" and not torch.compiler.is_compiling() and not math.isfinite(audio.detach().sum()):
            raise UserError("audio contains NaN or infinite samples; repair or drop the recording")
        with full_precision(audio):
            for twin, slot, entry in zip(self._twins, self.chain.slots, settings, strict=True):
                mix, bypass = slot.mix, slot.bypass
                if isinstance(entry.get("settings"), Mapping):
                    mix, bypass = float(entry.get("mix", mix)), bool(entry.get("bypass", bypass))
                    entry = entry["settings"]
                if bypass or mix == 0.0:
                    continue
                values = self._complete(slot.effect, entry, audio)
                wet = twin.render(audio, values, float(sample_rate), in_range)
                audio = wet if mix == 1.0 else torch.lerp(audio, wet, mix)
        return audio

    @staticmethod
    def _complete(effect: Any, entry: Mapping[str, Any], audio: Tensor) -> dict[str, Tensor]:
        """Every parameter as a tensor (items,) on the audio's device, defaults filled in."""
        names = [p.name for p in effect.parameters]
        unknown = [name for name in entry if name not in names]
        if unknown:
            raise UserError(f"{effect.name} has no parameter {unknown[0]!r}; it has {', '.join(names)}")
        items, dtype, values = audio.shape[0], state_dtype(audio.device), {}
        for p in effect.parameters:
            value = entry.get(p.name, p.default)
            if not isinstance(value, Tensor):  # filled on the device: a copy from the host would make it wait
                value = torch.full((items,), float(value), dtype=dtype, device=audio.device)
            value = value.to(audio.device, dtype)
            if value.shape not in ((), (1,), (items,)):
                raise UserError(
                    f"{effect.name}: {p.name} has the shape {tuple(value.shape)}; give one value for each of {items} items"
                )
            values[p.name] = value.expand(items)
        return values
