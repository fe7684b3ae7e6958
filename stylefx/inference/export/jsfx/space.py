"""Gain, width, pan, delay, reverb: what is linear and no equaliser. Two channels, as a track has them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from stylefx.effects.base import Effect
from stylefx.effects.palette.delay import MINIMUM_SAMPLES
from stylefx.effects.palette.reverb import LINE_TIMES_MS, LINES, Reverb
from stylefx.inference.export.jsfx.plugin import Plugin

_PRIME = """\
function is_prime(n) local(d found) (
  found = n > 1;
  d = 2;
  while (found && d * d <= n) ( floor(n / d) * d == n ? ( found = 0; ); d += 1; );
  found;
);
function prime_from(n) ( while (!is_prime(n)) ( n += 1; ); n; );
"""


def gain(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.at_slider.append(f"{p}gain = 10 ^ ({plugin.knob(effect.parameters[0], settings['gain_db'])} / 20);")
    plugin.per_sample.append(f"spl0 *= {p}gain; spl1 *= {p}gain;")


def stereo_width(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.at_slider.append(f"{p}width = {plugin.knob(effect.parameters[0], settings['width'])};")
    plugin.per_sample.append(f"{p}mid = (spl0 + spl1) / 2; {p}side = {p}width * (spl0 - spl1) / 2;")
    plugin.per_sample.append(f"spl0 = {p}mid + {p}side; spl1 = {p}mid - {p}side;")


def pan(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.at_slider.append(f"{p}theta = ({plugin.knob(effect.parameters[0], settings['pan'])} + 1) * $pi / 4;")
    plugin.at_slider.append(f"{p}left = sqrt(2) * cos({p}theta); {p}right = sqrt(2) * sin({p}theta);")
    plugin.per_sample.append(f"spl0 *= {p}left; spl1 *= {p}right;")


def delay(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    time, feedback, damping, mix = (plugin.knob(q, settings[q.name]) for q in effect.parameters)
    longest = max(effect.parameters[0].maximum, settings["time_ms"])
    plugin.init.append(f"{p}size = floor({longest:g} * 0.001 * srate) + 4;")
    plugin.init += [f"{p}line{c} = free; free += {p}size;" for c in (0, 1)]
    plugin.at_slider += [
        f"{p}samples = max({time} * 0.001 * srate, {MINIMUM_SAMPLES:g}); "
        f"{p}whole = floor({p}samples); {p}d = 1 + {p}samples - {p}whole;",
        f"{p}t0 = 0 - ({p}d - 1) * ({p}d - 2) * ({p}d - 3) / 6; {p}t1 = {p}d * ({p}d - 2) * ({p}d - 3) / 2;",
        f"{p}t2 = 0 - {p}d * ({p}d - 1) * ({p}d - 3) / 2; {p}t3 = {p}d * ({p}d - 1) * ({p}d - 2) / 6;",
        f"{p}pole = exp(-2 * $pi * {damping} / srate);",
    ]
    for c in (0, 1):
        # u[n - k] for k = whole - 1 .. whole + 2, before u[n] is written at place
        for tap in range(4):
            plugin.per_sample.append(
                f"{p}at = {p}place - {p}whole + {1 - tap}; {p}at += {p}at < 0 ? {p}size : 0; {p}v{tap} = {p}line{c}[{p}at];"
            )
        plugin.per_sample += [
            f"{p}v = {p}t0 * {p}v0 + {p}t1 * {p}v1 + {p}t2 * {p}v2 + {p}t3 * {p}v3;",
            f"{p}w{c} = {p}pole * {p}w{c} + (1 - {p}pole) * {p}v;",
            f"{p}line{c}[{p}place] = spl{c} + {feedback} * {p}w{c};",
            f"spl{c} += {mix} * ({p}w{c} - spl{c});",
        ]
    plugin.per_sample.append(f"{p}place = {p}place + 1 < {p}size ? {p}place + 1 : 0;")


def reverb(plugin: Plugin, effect: Reverb, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.use("primes", _PRIME)
    decay, ratio, crossover, mix = (plugin.knob(q, settings[q.name]) for q in effect.parameters)
    plugin.init.append(f"{p}last = 1;")
    for i, time_ms in enumerate(LINE_TIMES_MS):
        shortest = f"nearest({effect.size * time_ms * 1e-3:.12f} * srate)"
        plugin.init.append(
            f"{p}n{i} = prime_from(max({shortest}, {p}last + 1)); {p}last = {p}n{i}; {p}l{i} = free; free += {p}n{i};"
        )
    plugin.init.append(
        f"{p}wait = nearest({effect.predelay_ms * 1e-3:.12f} * srate); "
        f"{p}p0 = free; free += {p}wait + 1; {p}p1 = free; free += {p}wait + 1;"
    )
    plugin.at_slider += _shelves(p, decay, ratio, crossover)
    for c in (0, 1):  # the pre-delay
        plugin.per_sample.append(
            f"{p}p{c}[{p}pp] = spl{c}; {p}at = {p}pp + 1 <= {p}wait ? {p}pp + 1 : 0; {p}x{c} = {p}p{c}[{p}at];"
        )
    plugin.per_sample.append(f"{p}pp = {p}at;")
    for i in range(LINES):
        plugin.per_sample += [
            f"{p}v = {p}l{i}[{p}q{i}]; {p}s{i} = {p}b0{i} * {p}v + {p}z{i}; {p}z{i} = {p}b1{i} * {p}v - {p}a1{i} * {p}s{i};"
        ]
    for c in (0, 1):
        wet = " + ".join(f"{p}s{i}" for i in range(c, LINES, 2))
        plugin.per_sample.append(f"spl{c} += {mix} * ({p}level * ({wet}) - spl{c});")
    plugin.per_sample += _hadamard(p)
    for i in range(LINES):
        plugin.per_sample.append(
            f"{p}l{i}[{p}q{i}] = {p}s{i} * {1 / math.sqrt(LINES):.17f} + 0.5 * {p}x{i % 2}; "
            f"{p}q{i} = {p}q{i} + 1 < {p}n{i} ? {p}q{i} + 1 : 0;"
        )


def _hadamard(p: str) -> list[str]:
    lines, step = [], 1
    while step < LINES:
        lines += [
            f"{p}t = {p}s{i}; {p}s{i} = {p}t + {p}s{i + step}; {p}s{i + step} = {p}t - {p}s{i + step};"
            for i in range(LINES)
            if not i & step
        ]
        step *= 2
    return lines


def _shelves(p: str, decay: str, ratio: str, crossover: str) -> list[str]:
    """Each line's share of the decay, as a first-order shelf; beyond 0.9 Nyquist that of 48 kHz on a warped axis."""
    lines = [
        f"{p}f = min({crossover}, 0.45 * max(srate, 48000)); "
        f"{p}beyond = srate < 48000 && {p}f > 0.45 * srate; {p}kept = 0; {p}lost = 0;",
        f"{p}y1 = tan($pi * 0.2); {p}y1 *= {p}y1; {p}y2 = tan($pi * 0.45); {p}y2 *= {p}y2;",
        f"{p}x1 = tan($pi * 0.2 * srate / 48000); {p}x1 *= {p}x1; {p}x2 = tan($pi * 0.45 * srate / 48000); {p}x2 *= {p}x2;",
        f"{p}c = {p}beyond ? ({p}x1 / {p}y1 - {p}x2 / {p}y2) / ({p}x2 - {p}x1) : 0;",
        f"{p}k = tan($pi * {p}f / ({p}beyond ? 48000 : srate)); {p}a = ({p}x1 / {p}y1 + {p}c * {p}x1) / ({p}k * {p}k);",
    ]
    for i in range(LINES):
        lines += [
            f"{p}time = {p}n{i} / srate; {p}low = 10 ^ (-3 * {p}time / {decay}); "
            f"{p}root = 10 ^ (-1.5 * {p}time / {decay} * (1 / {ratio} - 1));",
            f"{p}kept += 1 - {p}low * {p}low; {p}lost += {p}low * {p}low;",
            f"{p}zero = {p}beyond ? sqrt({p}c + {p}a * {p}root * {p}root) : {p}root / {p}k;",
            f"{p}pole = {p}beyond ? sqrt({p}c * {p}root * {p}root + {p}a) : 1 / {p}k;",
            f"{p}b0{i} = {p}low * {p}root * (1 + {p}zero) / ({p}root + {p}pole);",
            f"{p}b1{i} = {p}low * {p}root * (1 - {p}zero) / ({p}root + {p}pole); "
            f"{p}a1{i} = ({p}root - {p}pole) / ({p}root + {p}pole);",
        ]
    return [*lines, f"{p}level = sqrt({p}kept / {p}lost);"]
