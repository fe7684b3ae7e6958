"""A chain of effects: the flat control vector, the settings in physical units, and the render.

Settings of a chain are a list with one dict per slot: ``[{"effect": name, "settings": {...}}, ...]``; a slot may also
carry ``"bypass": true`` and ``"mix": 0..1`` (1 = wet only).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Process, check_audio
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError

CHAIN_FORMAT = "stylefx-chain"
CHAIN_VERSION = 1


@dataclass(frozen=True)
class Slot:
    """An effect in its place. ``mix`` and ``bypass`` are defaults that a settings entry can override."""

    effect: Effect
    mix: float = 1.0
    bypass: bool = False


class _Mixed(Process):
    """Dry/wet around a process; the dry path is delayed by the process's look-ahead."""

    def __init__(self, process: Process, mix: float, channels: int):
        self.process, self.mix, self.latency = process, np.float32(mix), process.latency
        self._dry = np.zeros((channels, process.latency), np.float32)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        dry = np.concatenate([self._dry, block], axis=1)
        self._dry = dry[:, block.shape[1] :].copy()
        return (np.float32(1) - self.mix) * dry[:, : block.shape[1]] + self.mix * self.process(block)


class ChainProcess(Process):
    """The running stream of a chain; latencies add up."""

    def __init__(self, processes: Sequence[Process]):
        self.processes = list(processes)
        self.latency = sum(p.latency for p in self.processes)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        for process in self.processes:
            block = process(block)
        return block


@dataclass(frozen=True)
class EffectChain:
    """Effects in series. The control vector is the concatenation of all parameters, in order, each in [0, 1]."""

    slots: tuple[Slot, ...] = field(default_factory=tuple)

    @classmethod
    def of(cls, *effects: Effect) -> EffectChain:
        return cls(tuple(Slot(e) for e in effects))

    @property
    def effects(self) -> tuple[Effect, ...]:
        return tuple(s.effect for s in self.slots)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, flat, in the order of the controls."""
        return tuple(p for e in self.effects for p in e.parameters)

    @property
    def num_controls(self) -> int:
        return len(self.parameters)

    # -- controls <-> settings

    def settings(self, controls: np.ndarray) -> list[dict]:
        """Controls in [0, 1], (num_controls,) -> settings of the chain."""
        controls = np.asarray(controls, dtype=np.float64)
        if controls.shape != (self.num_controls,):
            raise UserError(f"the chain has {self.num_controls} controls, got an array of shape {controls.shape}")
        if not np.isfinite(controls).all():
            raise UserError("controls contain NaN or infinite values")
        values, out = iter(controls.tolist()), []
        for effect in self.effects:
            out.append({"effect": effect.name, "settings": {p.name: p.from_control(next(values)) for p in effect.parameters}})
        return out

    def controls(self, settings: Sequence[dict]) -> np.ndarray:
        """Settings of the chain -> controls, float64 (num_controls,); values outside the ranges are clipped."""
        out: list[float] = []
        for slot, entry in zip(self.slots, self.complete(settings), strict=True):
            out += [p.to_control(entry["settings"][p.name]) for p in slot.effect.parameters]
        return np.array(out)

    @property
    def default_controls(self) -> np.ndarray:
        return np.array([p.to_control(p.default) for p in self.parameters])

    def complete(self, settings: Sequence[dict] | None) -> list[dict]:
        """Check the entries against the slots and fill in defaults; UserError names what does not fit."""
        if settings is None:
            settings = [{"effect": e.name} for e in self.effects]
        if len(settings) != len(self.slots):
            raise UserError(f"the chain has {len(self.slots)} effects, the settings have {len(settings)}")
        out = []
        for i, (slot, entry) in enumerate(zip(self.slots, settings, strict=True)):
            if entry.get("effect") != slot.effect.name:
                raise UserError(f"settings entry {i} is for {entry.get('effect')!r}, the chain has {slot.effect.name!r} there")
            unknown = set(entry) - {"effect", "config", "settings", "mix", "bypass"}
            if unknown:
                raise UserError(f"settings entry {i} ({slot.effect.name}) has unknown keys {sorted(unknown)}")
            mix = float(entry.get("mix", slot.mix))
            if not 0.0 <= mix <= 1.0:
                raise UserError(f"settings entry {i} ({slot.effect.name}): mix is {mix}; give a number in 0..1")
            out.append(
                {
                    "effect": slot.effect.name,
                    "settings": slot.effect.complete(entry.get("settings")),
                    "mix": mix,
                    "bypass": bool(entry.get("bypass", slot.bypass)),
                }
            )
        return out

    # -- render

    def start(self, settings: Sequence[dict] | None, sample_rate: float, channels: int) -> ChainProcess:
        """A stream with fixed settings."""
        processes: list[Process] = []
        for slot, entry in zip(self.slots, self.complete(settings), strict=True):
            if entry["bypass"] or entry["mix"] == 0.0:
                continue
            process = slot.effect.start(entry["settings"], float(sample_rate), channels)
            processes.append(process if entry["mix"] == 1.0 else _Mixed(process, entry["mix"], channels))
        return ChainProcess(processes)

    def render(self, audio: np.ndarray, settings: Sequence[dict] | None, sample_rate: float) -> np.ndarray:
        """Whole signal, float32 (channels, samples), look-ahead compensated: same length, aligned."""
        audio = check_audio(audio)
        process = self.start(settings, sample_rate, audio.shape[0])
        if process.latency:
            audio = np.pad(audio, ((0, 0), (0, process.latency)))
        return np.ascontiguousarray(process(audio)[:, process.latency :])

    # -- plain data

    def to_dict(self) -> dict[str, Any]:
        effects = []
        for slot in self.slots:
            entry: dict[str, Any] = {"effect": slot.effect.name, "config": slot.effect.config()}
            if slot.mix != 1.0:
                entry["mix"] = slot.mix
            if slot.bypass:
                entry["bypass"] = True
            effects.append(entry)
        return {"format": CHAIN_FORMAT, "version": CHAIN_VERSION, "effects": effects}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EffectChain:
        if data.get("format") != CHAIN_FORMAT or data.get("version") != CHAIN_VERSION:
            raise UserError(
                f"not a chain of format {CHAIN_FORMAT} {CHAIN_VERSION}: "
                f"format {data.get('format')!r}, version {data.get('version')!r}"
            )
        return cls(
            tuple(
                Slot(make_effect(e["effect"], **e.get("config", {})), float(e.get("mix", 1.0)), bool(e.get("bypass", False)))
                for e in data["effects"]
            )
        )
