"""A chain of effects: the flat control vector, the settings in physical units, and the render.

Settings of a chain are a list with one dict per slot: ``[{"effect": name, "settings": {...}}, ...]``; a slot may also
carry ``"bypass": true`` and ``"mix": 0..1`` (1 = wet only).

Audio has one order of axes everywhere: (channels, samples), float32. What a WAV reader gives interleaved, (samples, channels),
is refused in a sentence; pass its transpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stylefx.effects.base import Effect, Process, check_audio
from stylefx.effects.parameters import Parameter
from stylefx.effects.registry import make_effect
from stylefx.errors import UserError

CHAIN_FORMAT = "stylefx-chain"
CHAIN_VERSION = 1
ENTRY_KEYS = ("effect", "config", "settings", "mix", "bypass")


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
    """The running stream of a chain; latencies add up. A block with NaN or infinite samples is refused, and the stream can
    go on with another."""

    def __init__(self, processes: Sequence[Process]):
        self.processes = list(processes)
        self.latency = sum(p.latency for p in self.processes)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        block = check_audio(block)
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

    def settings(self, controls: np.ndarray) -> list[dict[str, Any]]:
        """Controls in [0, 1], (num_controls,) -> settings of the chain."""
        controls = np.asarray(controls, dtype=np.float64)
        if controls.shape != (self.num_controls,):
            raise UserError(f"the chain has {self.num_controls} controls, got an array of shape {controls.shape}")
        if not np.isfinite(controls).all():
            raise UserError("controls contain NaN or infinite values")
        values = iter(controls.tolist())
        return [
            {"effect": effect.name, "settings": {p.name: p.from_control(next(values)) for p in effect.parameters}}
            for effect in self.effects
        ]

    def controls(self, settings: Sequence[dict[str, Any]]) -> np.ndarray:
        """Settings of the chain -> controls, float64 (num_controls,); values outside the ranges are clipped."""
        out: list[float] = []
        for slot, entry in zip(self.slots, self.complete(settings), strict=True):
            out += [p.to_control(entry["settings"][p.name]) for p in slot.effect.parameters]
        return np.array(out)

    @property
    def default_controls(self) -> np.ndarray:
        return np.array([p.to_control(p.default) for p in self.parameters])

    def complete(self, settings: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
        """Check the entries against the slots and fill in defaults; UserError names what does not fit."""
        if settings is None:
            settings = [{"effect": e.name} for e in self.effects]
        if len(settings) != len(self.slots):
            raise UserError(f"the chain has {len(self.slots)} effects, the settings have {len(settings)}")
        out = []
        for i, (slot, entry) in enumerate(zip(self.slots, settings, strict=True)):
            if entry.get("effect") != slot.effect.name:
                raise UserError(f"settings entry {i} is for {entry.get('effect')!r}, the chain has {slot.effect.name!r} there")
            _refuse_unknown_keys(i, entry)
            self._refuse_other_config(i, slot, entry)
            out.append(
                {
                    "effect": slot.effect.name,
                    "settings": slot.effect.complete(entry.get("settings")),
                    "mix": _checked_mix(i, entry, entry.get("mix", slot.mix)),
                    "bypass": bool(entry.get("bypass", slot.bypass)),
                }
            )
        return out

    @staticmethod
    def _refuse_other_config(index: int, slot: Slot, entry: Mapping[str, Any]) -> None:
        """Settings written for another variant of an effect would be misread."""
        config = entry.get("config")
        if config and config != slot.effect.config() and make_effect(slot.effect.name, **config).config() != slot.effect.config():
            raise UserError(f"settings entry {index} ({slot.effect.name}) is for {config}, the chain has {slot.effect.config()}")

    # -- render

    def start(self, settings: Sequence[dict[str, Any]] | None, sample_rate: float, channels: int) -> ChainProcess:
        """A stream with fixed settings."""
        processes: list[Process] = []
        for slot, entry in zip(self.slots, self.complete(settings), strict=True):
            if entry["bypass"] or entry["mix"] == 0.0:
                continue
            process = slot.effect.start(entry["settings"], float(sample_rate), channels)
            processes.append(process if entry["mix"] == 1.0 else _Mixed(process, entry["mix"], channels))
        return ChainProcess(processes)

    def render(self, audio: np.ndarray, settings: Sequence[dict[str, Any]] | None, sample_rate: float) -> np.ndarray:
        """Whole signal, float32 (channels, samples), look-ahead compensated: same length, aligned."""
        audio = check_audio(audio)
        process = self.start(settings, sample_rate, audio.shape[0])
        if process.latency:
            audio = np.pad(audio, ((0, 0), (0, process.latency)))
        out = np.ascontiguousarray(process(audio)[:, process.latency :])
        return out if process.processes else out.copy()

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
        """Rebuild a chain; UserError when it is not one, or of another version."""
        if not isinstance(data, dict) or data.get("format") != CHAIN_FORMAT or data.get("version") != CHAIN_VERSION:
            raise UserError(f"this is not a chain: it must begin with format: {CHAIN_FORMAT} and version: {CHAIN_VERSION}")
        if not isinstance(data.get("effects"), list):
            raise UserError(f"a chain needs a list of effects, got {data.get('effects')!r}")
        return cls.from_entries(data["effects"])

    @classmethod
    def from_entries(cls, entries: Sequence[dict[str, Any]]) -> EffectChain:
        """The chain that a list of entries (effect, config, mix, bypass; settings are ignored) describes."""
        return cls(tuple(_slot(i, entry) for i, entry in enumerate(entries)))


def _slot(index: int, entry: dict[str, Any]) -> Slot:
    if not isinstance(entry, dict) or "effect" not in entry:
        raise UserError(f"entry {index} of the chain is {entry!r}; give at least effect: NAME")
    _refuse_unknown_keys(index, entry)
    config = entry.get("config") or {}
    if not isinstance(config, dict):
        raise UserError(f"entry {index} ({entry['effect']}): config is {config!r}; give a mapping")
    mix = _checked_mix(index, entry, entry.get("mix", 1.0))
    return Slot(make_effect(entry["effect"], **config), mix, bool(entry.get("bypass", False)))


def _refuse_unknown_keys(index: int, entry: Mapping[str, Any]) -> None:
    unknown = sorted(set(entry) - {"effect", "config", "settings", "mix", "bypass"})
    if unknown:
        raise UserError(
            f"entry {index} ({entry['effect']}) has unknown keys {unknown}; known: effect, config, settings, mix, bypass"
        )


def _checked_mix(index: int, entry: Mapping[str, Any], mix: Any) -> float:
    if isinstance(mix, (str, bool)) or mix is None or not 0.0 <= mix <= 1.0:
        raise UserError(f"entry {index} ({entry['effect']}): mix is {mix!r}; give a number in 0..1")
    return float(mix)
