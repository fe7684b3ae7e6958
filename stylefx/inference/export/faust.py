"""Faust: our DSP as a .dsp source with a slider per parameter, for whatever Faust compiles to (plug-ins, web, C++, boards).

Compile it in double precision (``faust -double``): it then renders what `stylefx render` renders.
"""

from __future__ import annotations

from stylefx.effects.kernels.dynamics import LEVEL_FLOOR_DB
from stylefx.errors import UserError
from stylefx.foreign.stages import BandStage, CompressorStage, ExpanderStage, GainStage, LimiterStage, Stage
from stylefx.inference.export.stages import header, number, stages, title
from stylefx.inference.settings_file import StyleSettings

LONGEST = 32768  # samples of look-ahead that the limiter has memory for: 100 ms at 192 kHz and more

LIBRARY = f"""\
import("stdfaust.lib");

// Second-order sections after R. Bristow-Johnson's cookbook, written with k = tan(pi f / fs); cutoffs up to 0.9 Nyquist
section(n2, n1, n0, d2, d1, d0, k) = fi.tf2((n2 + n1*k + n0*k*k) / s, 2*(n0*k*k - n2) / s, (n2 - n1*k + n0*k*k) / s,
    2*(d0*k*k - d2) / s, (d2 - d1*k + d0*k*k) / s) with {{ s = d2 + d1*k + d0*k*k; }};
warp(f) = tan(ma.PI * min(f, 0.45*ma.SR) / ma.SR);
peak(g, f, q) = section(1, a/q, 1, 1, 1/(a*q), 1, warp(f)) with {{ a = pow(10, g/40); }};
low_shelf(g, f, q) = section(a, a*sqrt(a)/q, a*a, a, sqrt(a)/q, 1, warp(f)) with {{ a = pow(10, g/40); }};
high_shelf(g, f, q) = section(a*a, a*sqrt(a)/q, a, 1, sqrt(a)/q, a, warp(f)) with {{ a = pow(10, g/40); }};
high_pass(f, q) = section(1, 0, 0, 1, 1/q, 1, warp(f));
low_pass(f, q) = section(0, 0, 1, 1, 1/q, 1, warp(f));
notch(f, q) = section(1, 0, 1, 1, 1/q, 1, warp(f));

// Dynamics: Giannoulis, Massberg, Reiss, JAES 60(6), 2012; one side chain for both channels, times are 10-90 %
pole(ms) = exp(0 - log(9) / (ma.SR * ms * 0.001));
level(x) = 20 * log10(max(x, {10 ** (LEVEL_FLOOR_DB / 20):.17f}));
over(d, knee) = select2(knee > 0, 0, inside*inside / max(2*knee, 1e-9)) + max(d - knee/2, 0)
    with {{ inside = min(max(d + knee/2, 0), knee); }};
smooth(rise, fall, r) = loop ~ _ with {{ loop(y) = a*y + (1 - a)*r with {{ a = select2(r > y, pole(fall), pole(rise)); }}; }};
linked(reduction, x, y) = x*g, y*g with {{ g = pow(10, 0 - reduction(level(max(abs(x), abs(y)))) / 20); }};
compressor(threshold, ratio, attack, release, knee) =
    linked(\\(l).((1 - 1/ratio) * over(l - threshold, knee) : smooth(attack, release)));
expander(threshold, ratio, attack, release, knee, range) =
    linked(\\(l).(min((ratio - 1) * over(threshold - l, knee), range) : smooth(release, attack)));
gain(db) = *(pow(10, db/20)), *(pow(10, db/20));

// Look-ahead limiter: peaks held, released, averaged twice in steps of 2^-24 dB; the output is late by the look-ahead
held(n, x) = ba.slidingMax(n, {LONGEST}, x);
box(n, x) = (steps - (steps @ max(0, n)) : + ~ _) / 16777216 with {{ steps = floor(x * 16777216 + 0.5); }};
released(release, r) = loop ~ _ with {{ loop(y) = max(r, a*y + (1 - a)*r) with {{ a = pole(release); }}; }};
limiter(lookahead, gain_db, ceiling, release, x, y) = wall(x), wall(y) with {{
    late = max(1, rint(lookahead * 0.001 * ma.SR)) : int;
    first = int(late / 2) + 1;
    second = max(1, late - int(late / 2) + 1);
    reduction = max(0, level(held(late + 1, max(abs(x), abs(y)))) + gain_db - ceiling) : released(release)
        : box(first) : /(first) : box(second) : /(second);
    top = pow(10, ceiling/20);
    wall(z) = (z @ late) * pow(10, (gain_db - reduction)/20) : max(0 - top) : min(top);
}};
"""


class _Names:
    """Labels with a number: each has to be another, and Faust sorts them by the alphabet."""

    def __init__(self) -> None:
        self.count = 0

    def slider(self, label: str, value: float, low: float, high: float, unit: str = "") -> str:
        self.count += 1
        unit = f"[unit:{unit}]" if unit else ""
        values = ", ".join(number(v) for v in (value, min(low, value), max(high, value)))
        return f'hslider("[{self.count:02d}]{self.count:02d} {label}{unit}", {values}, 0.001)'


def render(style: StyleSettings) -> str:
    """The text of a .dsp file, two channels in and out."""
    names = _Names()
    plan, limiter, after_db, notes = stages(style, "faust", drop_neutral=False, limits=True)
    lines = [_stage(stage, names) for stage in plan]
    if limiter is not None:
        lines += [_limiter(limiter, names), _stage(GainStage(after_db), names)]
        notes.append(f"The limiter's look-ahead delays the output by {number(limiter.lookahead_ms)} ms.")
    usage = "Use: faust -double -a ARCHITECTURE THIS_FILE   (two channels in, two out)"
    text = "\n  : ".join(lines) or "_, _"
    words = title(style).replace("\\", "/").replace('"', "'")
    head = [f'declare name "{words}";', *header(style, "faust", [usage, *notes], mark="//")]
    return "\n".join([*head, "", LIBRARY, f"process =\n  {text};", ""])


def _stage(stage: Stage, names: _Names) -> str:
    if isinstance(stage, GainStage):
        return f"gain({names.slider('gain', stage.gain_db, -48, 48, 'dB')})"
    if isinstance(stage, BandStage):
        return _band(stage, names)
    if isinstance(stage, CompressorStage):
        knobs = [
            names.slider("threshold", stage.threshold_db, -96, 0, "dB"), names.slider("ratio", stage.ratio, 1, 100),
            names.slider("attack", stage.attack_ms, 0.1, 100, "ms"), names.slider("release", stage.release_ms, 5, 1000, "ms"),
            names.slider("knee", stage.knee_db, 0, 24, "dB"),
        ]  # fmt: skip
        if isinstance(stage, ExpanderStage):
            return f"expander({', '.join([*knobs, names.slider('range', stage.range_db, 0, 80, 'dB')])})"
        return f"compressor({', '.join(knobs)})"
    raise UserError(f"faust has no counterpart of {stage!r}")


def _limiter(limiter: LimiterStage, names: _Names) -> str:
    knobs = [
        names.slider("limiter gain", limiter.gain_db, 0, 24, "dB"), names.slider("ceiling", limiter.ceiling_db, -24, 0, "dB"),
        names.slider("limiter release", limiter.release_ms, 5, 1000, "ms"),
    ]  # fmt: skip
    return f"limiter({number(limiter.lookahead_ms)}, {', '.join(knobs)})"


def _band(band: BandStage, names: _Names) -> str:
    if band.sections:  # what the settings' rate cannot hold: numbers for that rate alone
        chain = " : ".join(f"fi.tf2({', '.join(f'{v:.12f}' for v in (*s[:3], *s[4:]))})" for s in band.sections)
        return f"par(i, 2, {chain})"
    words, values = band.name.replace("_", " "), []
    if band.kind in ("peak", "low_shelf", "high_shelf"):
        values.append(names.slider(f"{words} gain", band.gain_db, -24, 24, "dB"))
    values.append(names.slider(f"{words} cutoff", band.cutoff_hz, 20, 20000, "Hz"))
    values.append(names.slider(f"{words} Q", band.q, 0.1, 10))
    return f"par(i, 2, {band.kind}({', '.join(values)}))"
