"""Second-order sections: parametric and graphic equaliser, and what crossovers and tone filters are made of."""

from __future__ import annotations

from collections.abc import Mapping

from stylefx.effects.kernels.biquad import GAIN_KINDS
from stylefx.effects.palette.graphic_eq import PROTOTYPE_GAIN_DB, GraphicEq
from stylefx.effects.palette.parametric_eq import ParametricEq
from stylefx.inference.export.jsfx.plugin import Plugin

KINDS = {"peak": 0, "low_shelf": 1, "high_shelf": 2, "high_pass": 3, "low_pass": 4, "notch": 5, "all_pass": 6}

SECTIONS = """\
// Equaliser: second-order sections after R. Bristow-Johnson's cookbook, written with k = tan(pi f / fs), so that nothing
// cancels at low frequencies; 5 coefficients and 2 x 2 states each. Every band has two places: the second is used where
// the rate cannot hold its cutoff (above 0.9 Nyquist, below 48 kHz) and the band does what it does at 48 kHz.
coefficients = 0;
states = 2048;
twice = 3584;
zeros = 3968;
poles = 3976;

function section(index n2 n1 n0 d2 d1 d0 k) local(c scale) (
  c = coefficients + index * 5;
  scale = 1 / (d2 + d1 * k + d0 * k * k);
  c[0] = (n2 + n1 * k + n0 * k * k) * scale;
  c[1] = 2 * (n0 * k * k - n2) * scale;
  c[2] = (n2 - n1 * k + n0 * k * k) * scale;
  c[3] = 2 * (d0 * k * k - d2) * scale;
  c[4] = (d2 - d1 * k + d0 * k * k) * scale;
);

// tan^2 at 48 kHz as a function of y = tan^2 at this rate: y (map_a + map_b y) / (1 + map_c y + map_d y^2), exact at four
// frequencies up to 0.45 of the rate (Thiele's inverse differences).
function tangent(f) local(t) ( t = tan($pi * f); t * t; );
function frequency_map() local(r y1 y2 y3 y4 h1 h2 h3 h4 p2 p3 p4 q3 q4 last shift a b unit) (
  r = srate / 48000;
  y1 = tangent(0.15); y2 = tangent(0.32); y3 = tangent(0.42); y4 = tangent(0.45);
  h1 = y1 / tangent(0.15 * r); h2 = y2 / tangent(0.32 * r); h3 = y3 / tangent(0.42 * r); h4 = y4 / tangent(0.45 * r);
  p2 = (y2 - y1) / (h2 - h1); p3 = (y3 - y1) / (h3 - h1); p4 = (y4 - y1) / (h4 - h1);
  q3 = (y3 - y2) / (p3 - p2); q4 = (y4 - y2) / (p4 - p2);
  last = (y4 - y3) / (q4 - q3);
  shift = q3 * last - y3;
  a = p2 * shift - last * y2;
  b = p2 + last;
  unit = h1 * a - y1 * shift;
  map_a = a / unit; map_b = b / unit; map_c = (h1 * b + shift - y1) / unit; map_d = 1 / unit;
);

// Both z of z^2 + (map_c - map_a v) z + map_d - map_b v = 0 for a complex v
function solve(re im) local(h g w_re w_im larger other p q) (
  h = (map_a * re - map_c) / 2;
  g = map_a * im / 2;
  w_re = h * h - g * g - map_d + map_b * re;
  w_im = 2 * h * g + map_b * im;
  larger = sqrt((sqrt(w_re * w_re + w_im * w_im) + abs(w_re)) / 2);
  other = larger > 0 ? abs(w_im) / (2 * larger) : 0;
  p = w_re >= 0 ? larger : other;
  q = w_re >= 0 ? other : larger;
  q = w_im < 0 ? 0 - q : q;
  z1_re = h + p; z1_im = g + q; z2_re = h - p; z2_im = g - q;
);

// c2 s^2 + c1 s + c0 at 48 kHz -> two polynomials at this rate, into place[0 .. 5]
function factors(place c2 c1 c0) local(mean inside spread size u v p q) (
  place[2] = 1;
  place[5] = 1;
  mean = (c2 - 0.5 * c1 * c1 / c0) / c0;
  inside = c1 * c1 - 4 * c0 * c2;
  spread = 0.5 * c1 / c0 / c0 * sqrt(abs(inside));
  c1 == 0 ? (
    solve(c2 / c0, 0);
    place[0] = z1_re; place[1] = 0; place[3] = z2_re; place[4] = 0;
  ) : inside < 0 ? (
    solve(mean, spread);
    size = sqrt(z1_re * z1_re + z1_im * z1_im);
    place[0] = size; place[1] = sqrt(2 * max(size - z1_re, 0));
    size = sqrt(z2_re * z2_re + z2_im * z2_im);
    place[3] = size; place[4] = sqrt(2 * max(size - z2_re, 0));
  ) : (
    solve(mean + spread, 0);
    u = sqrt(max(0 - z1_re, 0)); v = sqrt(max(0 - z2_re, 0));
    solve(mean - spread, 0);
    p = sqrt(max(0 - z1_re, 0)); q = sqrt(max(0 - z2_re, 0));
    place[0] = u * p; place[1] = u + p; place[3] = v * q; place[4] = v + q;
  );
);

function beyond(index n2 n1 n0 d2 d1 d0) local(gain) (
  frequency_map();
  factors(poles, d2, d1, d0);
  n0 == 0 ? (
    gain = n2 / d0;
    zeros[0] = 1; zeros[1] = 0; zeros[2] = 0; zeros[3] = 0 - map_b; zeros[4] = 0; zeros[5] = map_a;
  ) : n1 < 0 ? (
    gain = 1;
    zeros[0] = poles[0]; zeros[1] = 0 - poles[1]; zeros[2] = 1; zeros[3] = poles[3]; zeros[4] = 0 - poles[4]; zeros[5] = 1;
  ) : (
    gain = n0 / d0;
    factors(zeros, n2, n1, n0);
  );
  section(index, gain * zeros[0], gain * zeros[1], gain * zeros[2], poles[0], poles[1], poles[2], 1);
  section(index + 1, zeros[3], zeros[4], zeros[5], poles[3], poles[4], poles[5], 1);
);

function prepare(number n2 n1 n0 d2 d1 d0 cutoff_hz) local(k held) (
  held = srate < 48000 && cutoff_hz > 0.45 * srate;
  twice[number] = held;
  held ? (
    k = tan($pi * min(cutoff_hz, 21600) / 48000);
    beyond(number * 2, n2, n1 * k, n0 * k * k, d2, d1 * k, d0 * k * k);
  ) : (
    section(number * 2, n2, n1, n0, d2, d1, d0, tan($pi * min(cutoff_hz, 0.45 * srate) / srate));
  );
);

function band(number kind gain_db cutoff_hz q) local(a r) (
  a = 10 ^ (gain_db / 40);
  r = sqrt(a);
  kind == 0 ? prepare(number, 1, a / q, 1, 1, 1 / (a * q), 1, cutoff_hz);
  kind == 1 ? prepare(number, a, a * r / q, a * a, a, r / q, 1, cutoff_hz);
  kind == 2 ? prepare(number, a * a, a * r / q, a, 1, r / q, a, cutoff_hz);
  kind == 3 ? prepare(number, 1, 0, 0, 1, 1 / q, 1, cutoff_hz);
  kind == 4 ? prepare(number, 0, 0, 1, 1, 1 / q, 1, cutoff_hz);
  kind == 5 ? prepare(number, 1, 0, 1, 1, 1 / q, 1, cutoff_hz);
  kind == 6 ? prepare(number, 1, -1 / q, 1, 1, 1 / q, 1, cutoff_hz);
);

function filter(x channel index) local(c s y) (
  c = coefficients + index * 5;
  s = states + index * 4 + channel * 2;
  y = c[0] * x + s[0];
  s[0] = c[1] * x - c[3] * y + s[1];
  s[1] = c[2] * x - c[4] * y;
  y;
);
"""

_INTERACTION = """\
// Graphic equaliser: the peaks' gains are solved from the knobs, as bands overlap (V. Valimaki, J. Liski, 2017): matrix of
// the bands' responses at one another's centres, then Gauss and Jordan; bands above 0.9 Nyquist are left out.
function peak_db(f centre q) local(t d a) (
  t = tan($pi * f / srate) / tan($pi * centre / srate);
  d = (1 - t * t) * (1 - t * t);
  a = 10 ^ (prototype_db / 40);
  10 * log10((d + t * t * a * a / (q * q)) / (d + t * t / (a * a * q * q)));
);
function solve_gains(centres knobs count q) local(k m row pivot factor n) (
  n = 0;
  loop(count, centres[n] <= 0.45 * srate ? ( n += 1; ); );
  k = 0;
  loop(n,
    m = 0;
    loop(n, matrix[k * 32 + m] = peak_db(centres[k], centres[m], q) / prototype_db; m += 1; );
    matrix[k * 32 + 31] = knobs[k];
    k += 1;
  );
  pivot = 0;
  loop(n,
    k = 0;
    loop(n,
      factor = k == pivot ? 0 : matrix[k * 32 + pivot] / matrix[pivot * 32 + pivot];
      m = 0;
      loop(32, matrix[k * 32 + m] -= factor * matrix[pivot * 32 + m]; m += 1; );
      k += 1;
    );
    pivot += 1;
  );
  k = 0;
  loop(n, knobs[k] = matrix[k * 32 + 31] / matrix[k * 32 + k]; k += 1; );
  n;
);
"""


def band(plugin: Plugin, kind: str, gain: str, cutoff: str, q: str) -> int:
    """One band designed at @slider; its number, for ``filtered``."""
    plugin.use("sections", SECTIONS)
    plugin.at_slider.append(f"band({plugin.bands}, {KINDS[kind]}, {gain}, {cutoff}, {q});")
    plugin.bands += 1
    return plugin.bands - 1


def filtered(signals: tuple[str, str], number: int) -> list[str]:
    """The band on the variables of both channels."""
    lines = []
    for channel, signal in enumerate(signals):
        lines.append(f"{signal} = filter({signal}, {channel}, {2 * number});")
        lines.append(f"twice[{number}] ? ({signal} = filter({signal}, {channel}, {2 * number + 1}));")
    return lines


def parametric_eq(plugin: Plugin, effect: ParametricEq, settings: Mapping[str, float]) -> None:
    parameters = {p.name: p for p in effect.parameters}
    for name, kind, *_ in effect.bands:
        words = name.replace("_", " ")
        gain = "0"
        if kind in GAIN_KINDS:
            gain = plugin.slider(f"{words} gain", settings[f"{name}_gain_db"], -24, 24, "0.01", "dB")
        cutoff = plugin.slider(f"{words} cutoff", settings[f"{name}_cutoff_hz"], 20, 20000, "1:log", "Hz")
        q = plugin.slider(f"{words} Q", settings[f"{name}_q"], parameters[f"{name}_q"].minimum, 10, "0.001:log", "Q")
        plugin.per_sample += filtered(("spl0", "spl1"), band(plugin, kind, gain, cutoff, q))


def graphic_eq(plugin: Plugin, effect: GraphicEq, settings: Mapping[str, float]) -> None:
    plugin.use("sections", SECTIONS)
    plugin.use("interaction", f"matrix = free; free += 1024;\nprototype_db = {PROTOTYPE_GAIN_DB:g};\n" + _INTERACTION)
    p, count, first = plugin.name(), len(effect.parameters), plugin.bands
    plugin.init.append(f"{p}centres = free; free += 32; {p}knobs = free; free += 32;")
    plugin.init += [f"{p}centres[{i}] = {hz:.9f};" for i, hz in enumerate(effect.centres_hz)]
    for i, parameter in enumerate(effect.parameters):
        plugin.at_slider.append(f"{p}knobs[{i}] = {plugin.knob(parameter, settings[parameter.name])};")
    plugin.at_slider.append(f"{p}active = solve_gains({p}centres, {p}knobs, {count}, {effect.q:.15f});")
    for i in range(count):
        gain, cutoff = f"({p}active > {i} ? {p}knobs[{i}] : 0)", f"{p}centres[{i}]"
        plugin.at_slider.append(f"band({first + i}, 0, {gain}, {cutoff}, {effect.q:.15f});")
        for channel in (0, 1):
            plugin.per_sample.append(f"{p}active > {i} ? (spl{channel} = filter(spl{channel}, {channel}, {2 * (first + i)}));")
    plugin.bands += count
