"""Settings of a chain as a file: versioned JSON with units, readable without a model and without torch.

    {"format": "stylefx-settings", "version": 1, "made_by": "stylefx 0.1.0", "sample_rate_hz": 44100,
     "effects": [{"effect": "compressor", "config": {}, "settings": {"threshold_db": -31.2, ...},
                  "units": {"threshold_db": "dB", ...}, "clamped": {...}}],
     "output_gain_db": -1.3, "about": {...}}

The values hold at the level of the recording they were made for. ``clamped`` lists what is rendered otherwise than
asked at ``sample_rate_hz`` (a cutoff above 0.9 Nyquist of that rate, or of 48 kHz where the rate is lower). ``about``
tells where the values come from; a render needs none of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylefx import __version__
from stylefx.config.read import parse_json
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.files.atomic import publish_text
from stylefx.nearest import did_you_mean

SETTINGS_FORMAT = "stylefx-settings"
SETTINGS_VERSION = 1
MOST_GAIN_DB = 96.0  # beyond it a gain is a slip of the finger, not a wish
_KEYS = ("format", "version", "made_by", "sample_rate_hz", "effects", "output_gain_db", "about")
_ENTRY_KEYS = ("effect", "config", "settings", "units", "mix", "bypass", "clamped")


@dataclass(frozen=True)
class StyleSettings:
    """A chain, its settings in physical units, and the gain after it.

    ``settings`` is what ``EffectChain.complete`` gives; ``output_gain_db`` is the sum of the loudness match and of
    the true-peak guard; ``sample_rate`` (Hz) is that of the recording the settings were made for, None when unknown.
    """

    chain: EffectChain
    settings: list[dict[str, Any]]
    sample_rate: float | None = None
    output_gain_db: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, chain: EffectChain, settings: list[dict[str, Any]] | None, **more: Any) -> StyleSettings:
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
        try:
            return cls._read(data, where)
        except UserError as error:  # names in the file may hold line breaks
            raise UserError(" ".join(str(error).split())) from error

    @classmethod
    def _read(cls, data: Any, where: str) -> StyleSettings:
        if not isinstance(data, dict) or data.get("format") != SETTINGS_FORMAT:
            raise UserError(f'{where}: no "format": "{SETTINGS_FORMAT}"; give a file that `stylefx transfer` wrote')
        _known_keys(data, _KEYS, where)
        if data.get("version") != SETTINGS_VERSION or isinstance(data["version"], bool):
            raise UserError(
                f"{where}: version {data.get('version')!r} is unknown, this stylefx reads {SETTINGS_VERSION}; update stylefx"
            )
        entries = data.get("effects")
        if not isinstance(entries, list) or not all(isinstance(e, dict) and isinstance(e.get("effect"), str) for e in entries):
            raise UserError(f'{where}: "effects" must be a list of objects with an "effect" name')
        for entry in entries:
            _known_keys(entry, _ENTRY_KEYS, f"{where}: {entry['effect']}")
            if not isinstance(entry.get("bypass", False), bool):
                raise UserError(f"{where}: {entry['effect']} bypass is {entry['bypass']!r}; give true or false")
        configs = [{"effect": e["effect"], "config": _object(e, "config", where)} for e in entries]
        try:
            chain = EffectChain.from_dict({"format": "stylefx-chain", "version": 1, "effects": configs})
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        settings = [{k: v for k, v in e.items() if k not in ("units", "clamped", "config")} for e in entries]
        for entry in settings:
            entry["settings"] = {
                name: _setting(name, value, f"{where}: {entry['effect']} {name}")
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
            _setting("output_gain_db", data.get("output_gain_db", 0.0), f"{where}: output_gain_db"),
            _finite(_object(data, "about", where), f'{where}: "about"'),
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
        data = parse_json(text, str(path))
    except UserError as error:
        raise UserError(f"{error}; give a file that `stylefx transfer` wrote") from error
    return StyleSettings.from_dict(data, str(path))


def _known_keys(entry: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in known:
            near = did_you_mean(key, known, "known are " + ", ".join(known))
            raise UserError(f"{where}: there is no key {key!r}{near}")


def _setting(name: str, value: Any, what: str) -> float:
    number = _number(value, what)
    if name.endswith("gain_db") and abs(number) > MOST_GAIN_DB:
        raise UserError(f"{what} is {number:g}; give a gain within +-{MOST_GAIN_DB:g} dB")
    return number


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{what} is {value!r}; give a finite number")
    return float(value)


def _finite(value: dict[str, Any], what: str) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise UserError(f"{what} holds NaN or infinity, which JSON does not know; give finite numbers") from None
    return value


def _object(entry: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = entry.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f'{where}: "{key}" must be an object, got {value!r}')
    return value
