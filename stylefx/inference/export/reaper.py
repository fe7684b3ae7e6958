"""REAPER: a JSFX plug-in source with one slider per parameter that carries our exact DSP, in double precision.

The text is made from the parts in ``jsfx`` for the effects that the chain has, in its order. A slot's mix is kept; the dry
signal waits for what looks ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stylefx.effects.base import Effect
from stylefx.errors import UserError
from stylefx.inference.export.jsfx import dynamics, equalisers, saturation, space
from stylefx.inference.export.jsfx.plugin import Plugin
from stylefx.inference.export.stages import header, title
from stylefx.inference.settings_file import StyleSettings

_MAX_SLIDERS = 64
FREE = 4096  # the first address that the tables of the equaliser leave

WRITERS: dict[str, Callable[..., None]] = {
    "parametric_eq": equalisers.parametric_eq,
    "graphic_eq": equalisers.graphic_eq,
    "compressor": dynamics.compressor,
    "expander": dynamics.expander,
    "gate": dynamics.gate,
    "limiter": dynamics.limiter,
    "multiband_compressor": dynamics.multiband_compressor,
    "saturation": saturation.saturation,
    "gain": space.gain,
    "stereo_width": space.stereo_width,
    "pan": space.pan,
    "delay": space.delay,
    "reverb": space.reverb,
}


def render(style: StyleSettings) -> str:
    """The text of a .jsfx file. At the settings' values it renders what `stylefx render` renders of stereo."""
    plugin = Plugin()
    for effect, entry in zip(style.chain.effects, style.settings, strict=True):
        if entry["bypass"] or entry["mix"] == 0.0:
            continue
        if effect.name not in WRITERS:
            raise UserError(f"reaper has no counterpart of the effect {effect.name!r}; export knows {', '.join(WRITERS)}")
        _slot(plugin, WRITERS[effect.name], effect, entry)
    knob = plugin.slider("output gain", style.output_gain_db, -48, 48, "0.01", "dB")
    plugin.at_slider.append(f"output_gain = 10 ^ ({knob} / 20);")
    plugin.per_sample.append("spl0 *= output_gain; spl1 *= output_gain;")
    if len(plugin.sliders) > _MAX_SLIDERS:
        raise UserError(f"a JSFX has at most {_MAX_SLIDERS} sliders, these settings need {len(plugin.sliders)}; use fewer bands")
    usage = "Use: copy this file into REAPER's folder Effects and add it to a track as a JS effect. Mono and stereo tracks."
    late = ["@block", f"pdc_delay = {' + '.join(plugin.late)}; pdc_bot_ch = 0; pdc_top_ch = 2;", ""] if plugin.late else []
    return "\n".join(
        [
            f"desc: {title(style)}",
            *header(style, "reaper", [usage], mark="//"),
            *plugin.sliders,
            "in_pin:left input",
            "in_pin:right input",
            "out_pin:left output",
            "out_pin:right output",
            "",
            "@init",
            f"free = {FREE};",
            *plugin.library.values(),
            *plugin.init,
            "",
            "@slider",
            *plugin.at_slider,
            "",
            *late,
            "@sample",
            *plugin.per_sample,
            "",
        ]
    )


def _slot(plugin: Plugin, write: Callable[..., None], effect: Effect, entry: dict[str, Any]) -> None:
    if entry["mix"] == 1.0:
        write(plugin, effect, entry["settings"])
        return
    p, before = plugin.name(), len(plugin.late)
    mix = plugin.slider(f"mix of {effect.name.replace('_', ' ')}", entry["mix"], 0, 1, "0.001", "wet")
    plugin.per_sample.append(f"{p}dry0 = spl0; {p}dry1 = spl1;")
    write(plugin, effect, entry["settings"])
    if len(plugin.late) > before:
        late = plugin.late[-1]
        plugin.init += [f"{p}wait{c} = free; free += {late};" for c in (0, 1)]
        plugin.per_sample += [
            f"{p}now = {p}wait{c}[{p}place]; {p}wait{c}[{p}place] = {p}dry{c}; {p}dry{c} = {p}now;" for c in (0, 1)
        ]
        plugin.per_sample.append(f"{p}place = {p}place + 1 < {late} ? {p}place + 1 : 0;")
    plugin.per_sample += [f"spl{c} = (1 - {mix}) * {p}dry{c} + {mix} * spl{c};" for c in (0, 1)]
