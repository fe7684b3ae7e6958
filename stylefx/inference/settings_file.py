"""Settings of a chain as a file: versioned JSON with units, readable without a model and without torch.

    {"format": "stylefx-settings", "version": 1, "made_by": "stylefx 0.1.0", "sample_rate_hz": 44100,
     "effects": [{"effect": "compressor", "config": {}, "settings": {"threshold_db": -31.2, ...},
                  "units": {"threshold_db": "dB", ...}, "clamped": {...}}],
     "output_gain_db": -1.3, "about": {...}}

The values hold at the level of the recording they were made for. ``clamped`` lists what is rendered otherwise than
asked at ``sample_rate_hz`` (a cutoff above 0.9 Nyquist). ``about`` tells where the values come from; a render needs
none of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylefx import __version__
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.inference.publish import publish_text

SETTINGS_FORMAT = "stylefx-settings"
SETTINGS_VERSION = 1


@dataclass(frozen=True)
class StyleSettings:
    """A chain, its settings in physical units, and the gain after it.

    ``settings`` is what ``EffectChain.complete`` gives; ``output_gain_db`` is the sum of the loudness match and of
    the true-peak guard; ``sample_rate`` (Hz) is that of the recording the settings were made for, None when unknown.
    """

    chain: EffectChain
    settings: list[dict]
    sample_rate: float | None = None
    output_gain_db: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, chain: EffectChain, settings: list[dict] | None, **more: Any) -> StyleSettings:
        """Completed and validated settings of ``chain``."""
        return cls(chain, chain.complete(settings), **more)

    def with_gain(self, output_gain_db: float, **about: Any) -> StyleSettings:
        return replace(self, output_gain_db=output_gain_db, about={**self.about, **about})

    def clamped(self, sample_rate: float | None = None) -> list[dict[str, float]]:
        """Per effect the parameters that the render changes at this rate, with the value that it uses."""
        rate = sample_rate or self.sample_rate
        if rate is None:
            return [{} for _ in self.settings]
        out = []
        for effect, entry in zip(self.chain.effects, self.settings, strict=True):
            effective = effect.effective(entry["settings"], rate)
            out.append({name: value for name, value in effective.items() if value != entry["settings"].get(name)})
        return out

    def to_dict(self) -> dict[str, Any]:
        effects = []
        for effect, entry, clamped in zip(self.chain.effects, self.settings, self.clamped(), strict=True):
            item: dict[str, Any] = {"effect": effect.name, "config": effect.config(), "settings": dict(entry["settings"])}
            item["units"] = {p.name: p.unit for p in effect.parameters}
            if entry["mix"] != 1.0:
                item["mix"] = entry["mix"]
            if entry["bypass"]:
                item["bypass"] = True
            if clamped:
                item["clamped"] = clamped
            effects.append(item)
        out: dict[str, Any] = {"format": SETTINGS_FORMAT, "version": SETTINGS_VERSION, "made_by": f"stylefx {__version__}"}
        if self.sample_rate is not None:
            out["sample_rate_hz"] = self.sample_rate
        return {**out, "effects": effects, "output_gain_db": self.output_gain_db, "about": self.about}

    def save(self, path: str | Path) -> None:
        """Write the JSON, whole or not at all."""
        publish_text(Path(path), json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    @classmethod
    def from_dict(cls, data: Any, where: str = "the settings") -> StyleSettings:
        """The inverse of ``to_dict``; a file written by hand may leave out all but format, version and effects."""
        if not isinstance(data, dict) or data.get("format") != SETTINGS_FORMAT:
            raise UserError(f'{where}: no "format": "{SETTINGS_FORMAT}"; give a file that `stylefx transfer` wrote')
        if data.get("version") != SETTINGS_VERSION:
            raise UserError(
                f"{where}: version {data.get('version')!r} is unknown, this stylefx reads {SETTINGS_VERSION}; update stylefx"
            )
        entries = data.get("effects")
        if not isinstance(entries, list) or not all(isinstance(e, dict) and isinstance(e.get("effect"), str) for e in entries):
            raise UserError(f'{where}: "effects" must be a list of objects with an "effect" name')
        configs = [{"effect": e["effect"], "config": _object(e, "config", where)} for e in entries]
        try:
            chain = EffectChain.from_dict({"format": "stylefx-chain", "version": 1, "effects": configs})
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        settings = [{k: v for k, v in e.items() if k not in ("units", "clamped", "config")} for e in entries]
        for entry in settings:
            entry["settings"] = {
                name: _number(value, f"{where}: {entry['effect']} {name}")
                for name, value in _object(entry, "settings", where).items()
            }
            if "mix" in entry:
                entry["mix"] = _number(entry["mix"], f"{where}: {entry['effect']} mix")
        try:
            complete = chain.complete(settings)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        rate = data.get("sample_rate_hz")
        return cls(
            chain,
            complete,
            None if rate is None else _number(rate, f"{where}: sample_rate_hz"),
            _number(data.get("output_gain_db", 0.0), f"{where}: output_gain_db"),
            _object(data, "about", where),
        )


def load_settings(path: str | Path) -> StyleSettings:
    """Read a settings file; UserError in one sentence for a missing, damaged or foreign one."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such settings file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as settings: {error}") from error
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); give a file that `stylefx transfer` wrote") from error
    return StyleSettings.from_dict(data, str(path))


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{what} is {value!r}; give a finite number")
    return float(value)


def _object(entry: dict, key: str, where: str) -> dict:
    value = entry.get(key) or {}
    if not isinstance(value, dict):
        raise UserError(f'{where}: "{key}" must be an object, got {value!r}')
    return value
