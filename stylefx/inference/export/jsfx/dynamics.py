"""Compressor, expander, gate, limiter and multiband compressor: one reduction, one smoother, one gain for both channels."""

from __future__ import annotations

from collections.abc import Mapping

from stylefx.effects.base import Effect
from stylefx.effects.kernels.crossover import BUTTERWORTH_Q
from stylefx.effects.palette.gate import SLOPE
from stylefx.effects.palette.limiter import Limiter
from stylefx.effects.palette.multiband_compressor import MultibandCompressor
from stylefx.inference.export.jsfx.equalisers import band, filtered
from stylefx.inference.export.jsfx.plugin import Plugin

LEVELS = f"""\
// Dynamics: Giannoulis, Massberg, Reiss, JAES 60(6), 2012. One side chain for both channels; the gain reduction (dB) is
// smoothed where it rises and where it falls; times are 10-90 %.
function smoothing(time_ms) ( exp(-log(9) / (srate * time_ms * 0.001)); );
function level(left right) ( 20 * log10(max(max(abs(left), abs(right)), {10 ** (-96 / 20):.17f})); );
function over(d knee_db) local(inside) (
  inside = min(max(d + knee_db / 2, 0), knee_db);
  (knee_db > 0 ? inside * inside / (2 * knee_db) : 0) + max(d - knee_db / 2, 0);
);
"""

HELD = """\
// Largest value of the last ``window``: a queue of falling values (place: first, count, now; then values, then stamps)
function held(place window value) local(values stamps at) (
  values = place + 4; stamps = values + window;
  place[1] > 0 && stamps[place[0]] <= place[2] - window ? ( place[0] = place[0] + 1 < window ? place[0] + 1 : 0; place[1] -= 1; );
  at = place[0] + place[1] - 1; at = at < window ? at : at - window;
  while (place[1] > 0 && values[at] <= value) (
    place[1] -= 1;
    at = at > 0 ? at - 1 : window - 1;
  );
  at = place[0] + place[1]; at = at < window ? at : at - window;
  values[at] = value; stamps[at] = place[2];
  place[1] += 1; place[2] += 1;
  values[place[0]];
);
"""

AVERAGE = """\
// Sum of the last ``length`` values in steps of 2^-24, so that it cannot drift (place: sum, next; then the values)
function sliding_sum(place length value) local(exact) (
  exact = floor(value * 16777216 + 0.5) / 16777216;
  place[0] = place[0] + exact - place[2 + place[1]];
  place[2 + place[1]] = exact;
  place[1] = place[1] + 1 < length ? place[1] + 1 : 0;
  place[0];
);
"""


#: lines with names in braces; the page of a transfer fills in the same
SMOOTHED = (
    "{p}wanted = {wanted};",
    "{p}a = {p}wanted > {p}y ? {p}{rise} : {p}{fall};",
    "{p}y = {p}a * {p}y + (1 - {p}a) * {p}wanted;",
    "{p}gain = 10 ^ ({gain_db} / 20);",
)
TIMES = "{p}attack = smoothing({attack}); {p}release = smoothing({release});"
WANTED = "(1 - 1 / {ratio}) * over(level({left}, {right}) - {threshold}, {knee})"
LIMITER_INIT = (
    "{p}late = max(1, nearest({lookahead_ms} * 0.001 * srate));",
    "{p}queue = free; free += 8 + 2 * ({p}late + 1);",
    "{p}first = floor({p}late / 2) + 1; {p}second = {p}late - floor({p}late / 2) + 1;",
    "{p}boxes = free; free += {p}first + 2; {p}box = free; free += {p}second + 2;",
    "{p}left = free; free += {p}late; {p}right = free; free += {p}late;",
)
LIMITER_SLIDER = "{p}release = smoothing({release}); {p}ceiling = 10 ^ ({ceiling} / 20);"
LIMITER_SAMPLE = (
    "{p}wanted = max(0, level(held({p}queue, {p}late + 1, max(abs(spl0), abs(spl1))), 0) + {gain} - {ceiling});",
    "{p}y = max({p}wanted, {p}release * {p}y + (1 - {p}release) * {p}wanted);",
    "{p}smooth = sliding_sum({p}box, {p}second, sliding_sum({p}boxes, {p}first, {p}y)) / ({p}first * {p}second);",
    "{p}gain = 10 ^ (({gain} - {p}smooth) / 20);",
    "{p}out = {p}left[{p}place] * {p}gain; {p}left[{p}place] = spl0;",
    "spl0 = min(max({p}out, 0 - {p}ceiling), {p}ceiling);",
    "{p}out = {p}right[{p}place] * {p}gain; {p}right[{p}place] = spl1;",
    "spl1 = min(max({p}out, 0 - {p}ceiling), {p}ceiling);",
    "{p}place = {p}place + 1 < {p}late ? {p}place + 1 : 0;",
)


def compressor(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    slots = [plugin.knob(p, settings[p.name]) for p in effect.parameters]
    _compress(plugin, ("spl0", "spl1"), slots)


def _compress(plugin: Plugin, signals: tuple[str, str], knobs: list[str]) -> None:
    threshold, ratio, attack, release, knee, makeup = knobs
    p = plugin.name()
    plugin.use("levels", LEVELS)
    plugin.at_slider.append(TIMES.format(p=p, attack=attack, release=release))
    wanted = WANTED.format(ratio=ratio, left=signals[0], right=signals[1], threshold=threshold, knee=knee)
    _apply(plugin, p, signals, wanted, ("attack", "release"), f"({makeup} - {p}y)")


def _apply(plugin: Plugin, p: str, signals: tuple[str, str], wanted: str, rise_fall: tuple[str, str], gain_db: str) -> None:
    names = {"p": p, "wanted": wanted, "rise": rise_fall[0], "fall": rise_fall[1], "gain_db": gain_db}
    plugin.per_sample += [line.format(**names) for line in SMOOTHED]
    plugin.per_sample += [f"{signal} *= {p}gain;" for signal in signals]


def expander(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.use("levels", LEVELS)
    threshold, ratio, attack, release, knee, reach, makeup = (plugin.knob(q, settings[q.name]) for q in effect.parameters)
    plugin.at_slider.append(TIMES.format(p=p, attack=attack, release=release))
    wanted = f"min(({ratio} - 1) * over({threshold} - level(spl0, spl1), {knee}), {reach})"
    _apply(plugin, p, ("spl0", "spl1"), wanted, ("release", "attack"), f"({makeup} - {p}y)")


def gate(plugin: Plugin, effect: Effect, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.use("levels", LEVELS)
    plugin.use("held", HELD)
    threshold, hold, attack, release, knee, reach = (plugin.knob(q, settings[q.name]) for q in effect.parameters)
    longest = max(effect.parameters[1].maximum, settings["hold_ms"])
    plugin.init.append(f"{p}queue = free; free += 8 + 2 * floor({longest:g} * 0.001 * srate + 2);")
    plugin.at_slider += [
        TIMES.format(p=p, attack=attack, release=release),
        f"{p}now = nearest({hold} * 0.001 * srate) + 1;",
        f"{p}now != {p}window ? ( {p}window = {p}now; {p}queue[0] = 0; {p}queue[1] = 0; {p}queue[2] = 0; );",
    ]
    heard = f"held({p}queue, {p}window, max(abs(spl0), abs(spl1)))"
    wanted = f"min({SLOPE:g} * over({threshold} - level({heard}, 0), {knee}), {reach})"
    _apply(plugin, p, ("spl0", "spl1"), wanted, ("release", "attack"), f"(0 - {p}y)")


def limiter(plugin: Plugin, effect: Limiter, settings: Mapping[str, float]) -> None:
    p = plugin.name()
    plugin.use("levels", LEVELS)
    plugin.use("held", HELD)
    plugin.use("average", AVERAGE)
    gain, ceiling, release = (plugin.knob(q, settings[q.name]) for q in effect.parameters)
    names = {"p": p, "gain": gain, "ceiling": ceiling, "release": release, "lookahead_ms": f"{effect.lookahead_ms:g}"}
    plugin.init += [line.format(**names) for line in LIMITER_INIT]
    plugin.late.append(f"{p}late")
    plugin.at_slider.append(LIMITER_SLIDER.format(**names))
    plugin.per_sample += [line.format(**names) for line in LIMITER_SAMPLE]


def multiband_compressor(plugin: Plugin, effect: MultibandCompressor, settings: Mapping[str, float]) -> None:
    """Linkwitz-Riley bands: high-passes of the crossovers below, the low-pass above, all-passes of the others above."""
    p, parameters = plugin.name(), {q.name: q for q in effect.parameters}
    crossovers = [plugin.knob(q, settings[q.name]) for q in effect.parameters[: effect.num_bands - 1]]
    plugin.per_sample.append(f"{p}in0 = spl0; {p}in1 = spl1; {p}sum0 = 0; {p}sum1 = 0;")
    for number in range(effect.num_bands):
        signals = (f"{p}x0", f"{p}x1")
        plugin.per_sample.append(f"{p}x0 = {p}in0; {p}x1 = {p}in1;")
        plan = [("high_pass", f, 2) for f in crossovers[:number]] + [("low_pass", f, 2) for f in crossovers[number : number + 1]]
        plan += [("all_pass", f, 1) for f in crossovers[number + 1 :]]
        for kind, cutoff, times in plan:
            for _ in range(times):
                plugin.per_sample += filtered(signals, band(plugin, kind, "0", cutoff, f"{BUTTERWORTH_Q:.15f}"))
        names = [name for name in parameters if name.startswith(f"band{number + 1}_")]
        _compress(plugin, signals, [plugin.knob(parameters[name], settings[name]) for name in names])
        plugin.per_sample.append(f"{p}sum0 += {p}x0; {p}sum1 += {p}x1;")
    plugin.per_sample.append(f"spl0 = {p}sum0; spl1 = {p}sum1;")
