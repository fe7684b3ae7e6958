"""REAPER: a JSFX plug-in source with one slider per parameter that carries our exact DSP, in double precision.

The text is made from the parts below for the effects that the chain has; bands and compressors keep their order.
"""

from __future__ import annotations

from stylefx.effects.biquad import GAIN_KINDS
from stylefx.errors import UserError
from stylefx.inference.export.stages import Band, Compressor, Gain, Stage, header, number, stages
from stylefx.inference.settings_file import StyleSettings

_MAX_SLIDERS = 64
_KINDS = {"peak": 0, "low_shelf": 1, "high_shelf": 2, "high_pass": 3, "low_pass": 4, "notch": 5}

_INIT = """\
@init
// Equaliser: 5 coefficients and 2 x 2 states per band. Second-order sections after R. Bristow-Johnson's cookbook,
// written with k = tan(pi f / fs), so that nothing cancels at low frequencies. Cutoffs are kept below 0.9 Nyquist.
coefficients = 0;
states = 512;
bands = 0;

function section(n2 n1 n0 d2 d1 d0 k) local(c scale) (
  c = coefficients + bands * 5;
  scale = 1 / (d2 + d1 * k + d0 * k * k);
  c[0] = (n2 + n1 * k + n0 * k * k) * scale;
  c[1] = 2 * (n0 * k * k - n2) * scale;
  c[2] = (n2 - n1 * k + n0 * k * k) * scale;
  c[3] = 2 * (d0 * k * k - d2) * scale;
  c[4] = (d2 - d1 * k + d0 * k * k) * scale;
  bands += 1;
);

function band(kind gain_db cutoff_hz q) local(a r k) (
  k = tan($pi * min(cutoff_hz, 0.45 * srate) / srate);
  a = 10 ^ (gain_db / 40);
  r = sqrt(a);
  kind == 0 ? section(1, a / q, 1, 1, 1 / (a * q), 1, k);
  kind == 1 ? section(a, a * r / q, a * a, a, r / q, 1, k);
  kind == 2 ? section(a * a, a * r / q, a, 1, r / q, a, k);
  kind == 3 ? section(1, 0, 0, 1, 1 / q, 1, k);
  kind == 4 ? section(0, 0, 1, 1, 1 / q, 1, k);
  kind == 5 ? section(1, 0, 1, 1, 1 / q, 1, k);
);

function filter(x channel index) local(c s y) (
  c = coefficients + index * 5;
  s = states + index * 4 + channel * 2;
  y = c[0] * x + s[0];
  s[0] = c[1] * x - c[3] * y + s[1];
  s[1] = c[2] * x - c[4] * y;
  y;
);

// Compressor: Giannoulis, Massberg, Reiss, JAES 60(6), 2012. One side chain for both channels; the gain reduction (dB) is
// smoothed, attack where it rises, release where it falls; times are 10-90 %.
function smoothing(time_ms) ( exp(-log(9) / (srate * time_ms * 0.001)); );

function reduction(level_db threshold_db ratio knee_db) local(d inside) (
  d = level_db - threshold_db;
  inside = min(max(d + knee_db / 2, 0), knee_db);
  (1 - 1 / ratio) * ((knee_db > 0 ? inside * inside / (2 * knee_db) : 0) + max(d - knee_db / 2, 0));
);
"""


def render(style: StyleSettings) -> str:
    """The text of a .jsfx file. At the settings' values it renders what `stylefx render` renders."""
    plan, notes = stages(style, "reaper", clamp=False, drop_neutral=False)
    sliders: list[str] = []
    names: list[str] = []

    def slider(label: str, value: float, low: float, high: float, step: str, unit: str) -> str:
        low, high = min(low, value), max(high, value)
        sliders.append(f"slider{len(sliders) + 1}:{number(value)}<{number(low)},{number(high)},{step}>{label} ({unit})")
        names.append(label)
        return f"slider{len(sliders)}"

    at_slider, per_sample, index, compressors = [], [], 0, 0
    for stage in plan:
        if isinstance(stage, Band):
            at_slider.append(_band(stage, slider))
            per_sample += [f"spl{c} = filter(spl{c}, {c}, {index});" for c in (0, 1)]
            index += 1
        elif isinstance(stage, Compressor):
            lines, sample = _compressor(stage, slider, compressors)
            at_slider += lines
            per_sample += sample
            compressors += 1
        else:
            name = f"gain{len(at_slider)}"
            at_slider.append(f"{name} = 10 ^ ({slider(_gain_label(stage, plan), stage.gain_db, -48, 48, '0.01', 'dB')} / 20);")
            per_sample += [f"spl0 *= {name};", f"spl1 *= {name};"]
    if len(sliders) > _MAX_SLIDERS:
        raise UserError(f"a JSFX has at most {_MAX_SLIDERS} sliders, these settings need {len(sliders)}; use fewer bands")
    usage = "Use: copy this file into REAPER's folder Effects and add it to a track as a JS effect. Mono and stereo tracks."
    return "\n".join(
        [
            "desc: stylefx",
            *header(style, "reaper", [usage, *notes], mark="//"),
            *sliders,
            "in_pin:left input",
            "in_pin:right input",
            "out_pin:left output",
            "out_pin:right output",
            "",
            _INIT,
            "@slider",
            "bands = 0;",
            *at_slider,
            "",
            "@sample",
            *per_sample,
            "",
        ]
    )


def _band(band: Band, slider) -> str:
    label = band.name.replace("_", " ")
    gain = slider(f"{label} gain", band.gain_db, -24, 24, "0.01", "dB") if band.kind in GAIN_KINDS else "0"
    cutoff = slider(f"{label} cutoff", band.cutoff_hz, 20, 20000, "1:log", "Hz")
    return f"band({_KINDS[band.kind]}, {gain}, {cutoff}, {slider(f'{label} Q', band.q, 0.1, 10, '0.001:log', 'Q')});"


def _compressor(stage: Compressor, slider, number_of: int) -> tuple[list[str], list[str]]:
    p = f"c{number_of}_"
    values = {
        "threshold": slider("threshold", stage.threshold_db, -96, 0, "0.1", "dB"),
        "ratio": slider("ratio", stage.ratio, 1, 100, "0.01:log", ":1"),
        "knee": slider("knee", stage.knee_db, 0, 24, "0.1", "dB"),
    }
    attack = slider("attack", stage.attack_ms, 0.1, 100, "0.01:log", "ms, 10-90 %")
    release = slider("release", stage.release_ms, 5, 1000, "0.1:log", "ms, 10-90 %")
    at_slider = [f"{p}attack = smoothing({attack});", f"{p}release = smoothing({release});"]
    sample = [
        f"{p}level = 20 * log10(max(max(abs(spl0), abs(spl1)), {10 ** (-96 / 20):.17f}));",
        f"{p}wanted = reduction({p}level, {values['threshold']}, {values['ratio']}, {values['knee']});",
        f"{p}a = {p}wanted > {p}y ? {p}attack : {p}release;",
        f"{p}y = {p}a * {p}y + (1 - {p}a) * {p}wanted;",
        f"{p}gain = 10 ^ (-{p}y / 20);",
        f"spl0 *= {p}gain;",
        f"spl1 *= {p}gain;",
    ]
    return at_slider, sample


def _gain_label(stage: Gain, plan: list[Stage]) -> str:
    position = next(i for i, other in enumerate(plan) if other is stage)
    if position == len(plan) - 1:
        return "output gain"
    return "make-up gain" if position and isinstance(plan[position - 1], Compressor) else "gain"
