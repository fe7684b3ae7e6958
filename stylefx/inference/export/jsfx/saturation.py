"""Saturation: a hyperbolic tangent at four times the rate between two linear-phase filters, as in the palette."""

from __future__ import annotations

import math
from collections.abc import Mapping

from stylefx.effects.palette.saturation import DC_BLOCK_HZ, LATENCY, OVERSAMPLING, Saturation, oversampling_filter
from stylefx.inference.export.jsfx.equalisers import band, filtered
from stylefx.inference.export.jsfx.plugin import Plugin

_TANH = """\
function tanh(z) local(e) ( e = exp(-2 * abs(z)); e = (1 - e) / (1 + e); z < 0 ? 0 - e : e; );
"""


def _taps(address: str) -> list[str]:
    taps = oversampling_filter()
    half = range(len(taps) // 2 + 1)
    lines = [f"{address}[{i}] = {taps[i]:.17g};".replace("e-", "e-") for i in half if taps[i]]
    return [
        *(_plain(line) for line in lines),
        f"{address}i = 0;",
        f"loop(64, {address}[128 - {address}i] = {address}[{address}i]; {address}i += 1; );",
    ]


def _plain(line: str) -> str:
    """EEL2 reads no exponents."""
    head, value = line.rstrip(";").split(" = ")
    return f"{head} = {float(value):.24f};"


def saturation(plugin: Plugin, effect: Saturation, settings: Mapping[str, float]) -> None:
    p, q = plugin.name(), f"{math.sqrt(0.5):.15f}"
    plugin.use("tanh", _TANH)
    drive, bias, tone, mix = (plugin.knob(k, settings[k.name]) for k in effect.parameters)
    plugin.init += [f"{p}h = free; free += 129; {p}x = free; free += 80; {p}w = free; free += 400;", *_taps(f"{p}h")]
    plugin.late.append(str(LATENCY))
    plugin.at_slider.append(f"{p}drive = 10 ^ ({drive} / 20); {p}rest = tanh({bias}); {p}scale = 1 / tanh({p}drive);")
    high, low = (band(plugin, kind, "0", cutoff, q) for kind, cutoff in (("high_pass", f"{DC_BLOCK_HZ:g}"), ("low_pass", tone)))
    plugin.per_sample.append(f"{p}place = {p}place > 0 ? {p}place - 1 : {LATENCY};")  # newest first, 33 places
    for c in (0, 1):
        x, w = f"({p}x + {c * 40})", f"({p}w + {c * 200})"
        plugin.per_sample += [
            f"{p}xs = {x}; {p}ws = {w}; {p}xs[{p}place] = spl{c}; {p}p = 0;",
            f"loop({OVERSAMPLING},",
            f"  {p}u = 0; {p}k = 0; {p}at = {p}place;",
            f"  loop({LATENCY + 1}, {p}u += {p}p == 0 ? ({p}k == 16 ? {p}xs[{p}at] : 0) "
            f": ({p}p + 4 * {p}k < 129 ? 4 * {p}h[{p}p + 4 * {p}k] * {p}xs[{p}at] : 0);",
            f"    {p}at = {p}at < {LATENCY} ? {p}at + 1 : 0; {p}k += 1; );",
            f"  {p}ws[{p}p * 40 + {p}place] = (tanh({p}drive * {p}u + {bias}) - {p}rest) * {p}scale;",
            f"  {p}p += 1;",
            ");",
            f"{p}y = 0; {p}k = 0; {p}at = {p}place;",
            f"loop({LATENCY + 1},",
            f"  {p}k == 16 ? ( {p}y += {p}h[64] * {p}ws[{p}at];  );",
            f"  {p}k > 0 ? ( {p}y += {p}h[4 * {p}k - 1] * {p}ws[40 + {p}at] + {p}h[4 * {p}k - 2] * {p}ws[80 + {p}at]"
            f" + {p}h[4 * {p}k - 3] * {p}ws[120 + {p}at]; );",
            f"  {p}dry = {p}xs[{p}at]; {p}at = {p}at < {LATENCY} ? {p}at + 1 : 0; {p}k += 1;",
            ");",
            f"{p}y{c} = {p}y; {p}dry{c} = {p}dry;",
        ]
    for number in (high, low):
        plugin.per_sample += filtered((f"{p}y0", f"{p}y1"), number)
    plugin.per_sample += [f"spl{c} = (1 - {mix}) * {p}dry{c} + {mix} * {p}y{c};" for c in (0, 1)]
