// Our own equations as source: Faust, and JSFX for REAPER. Libraries and lines come from the command's writers (view.faust, view.jsfx).
"use strict";

const StyleCode = ((Plan) => {
  const { number, general, fixed, fill } = Plan;
  const GAINS = /peak|shelf/;

  function faust(view, chain) {
    const { stages, limiter, afterDb, notes } = Plan.stages(chain, "faust", { dropNeutral: false, limits: true });
    let count = 0;
    const slider = (label, value, low, high, unit = "") => {
      const place = String(++count).padStart(2, "0"), values = [value, Math.min(low, value), Math.max(high, value)].map(number).join(", ");
      return `hslider("[${place}]${place} ${label}${unit && `[unit:${unit}]`}", ${values}, 0.001)`;
    };
    const gain = (db) => `gain(${slider("gain", db, -48, 48, "dB")})`;
    const band = (one) => {
      if (one.sections.length) {
        return `par(i, 2, ${one.sections.map(([b0, b1, b2, , a1, a2]) => `fi.tf2(${[b0, b1, b2, a1, a2].map((v) => fixed(v, 12)).join(", ")})`).join(" : ")})`;
      }
      const words = one.name.replaceAll("_", " "), values = GAINS.test(one.kind) ? [slider(`${words} gain`, one.gainDb, -24, 24, "dB")] : [];
      values.push(slider(`${words} cutoff`, one.cutoffHz, 20, 20000, "Hz"), slider(`${words} Q`, one.q, 0.1, 10));
      return `par(i, 2, ${one.kind}(${values.join(", ")}))`;
    };
    const compressor = (s) => `compressor(${[slider("threshold", s.thresholdDb, -96, 0, "dB"), slider("ratio", s.ratio, 1, 100), slider("attack", s.attackMs, 0.1, 100, "ms"),
      slider("release", s.releaseMs, 5, 1000, "ms"), slider("knee", s.kneeDb, 0, 24, "dB")].join(", ")})`;
    const lines = stages.map((stage) => (stage.is === "gain" ? gain(stage.gainDb) : stage.is === "band" ? band(stage) : compressor(stage)));
    if (limiter) {
      const knobs = [slider("limiter gain", limiter.gainDb, 0, 24, "dB"), slider("ceiling", limiter.ceilingDb, -24, 0, "dB"), slider("limiter release", limiter.releaseMs, 5, 1000, "ms")];
      lines.push(`limiter(${number(limiter.lookaheadMs)}, ${knobs.join(", ")})`, gain(afterDb));
      notes.push(`The limiter's look-ahead delays the output by ${number(limiter.lookaheadMs)} ms.`);
    }
    const words = view.title.replaceAll("\\", "/").replaceAll('"', "'"), usage = "Use: faust -double -a ARCHITECTURE THIS_FILE   (two channels in, two out)";
    return [`declare name "${words}";`, ...Plan.header(view, "faust", [usage, ...notes], "//"), "", view.faust.library, `process =\n  ${lines.join("\n  : ") || "_, _"};`, ""].join("\n");
  }

  // ---- JSFX

  const STEPS = { dB: "0.01", Hz: "0.1:log", ms: "0.01:log", s: "0.001:log" };

  function plugin() {
    const out = { sliders: [], library: {}, init: [], atSlider: [], perSample: [], late: [], bands: 0, stages: 0 };
    out.name = () => `e${++out.stages}_`;
    out.slider = (label, value, low, high, step, unit) => {
      const [from, to] = [Math.min(low, value), Math.max(high, value)];
      out.sliders.push(`slider${out.sliders.length + 1}:${number(value)}<${number(from)},${number(to)},${step}>${label} (${unit})`);
      return `slider${out.sliders.length}`;
    };
    out.knob = (p, value) => {
      const step = STEPS[p.unit] || (p.scale === "log" ? "0.001:log" : "0.001"), words = p.name.split("_");
      return out.slider(p.name.replace(/_db$/, "").replace(/_hz$/, "").replace(/_ms$/, "").replace(/_s$/, "").replaceAll("_", " "), value, p.minimum, p.maximum,
        p.scale === "log" ? step : step.replace(/:log$/, ""), p.unit || words[words.length - 1]);
    };
    return out;
  }

  const WRITERS = {
    parametric_eq(out, { bands, parameters, settings }, texts) {
      for (const { name, kind } of bands) {
        const words = name.replaceAll("_", " "), q = parameters.find((p) => p.name === `${name}_q`);
        const gain = GAINS.test(kind) ? out.slider(`${words} gain`, settings[`${name}_gain_db`], -24, 24, "0.01", "dB") : "0";
        const cutoff = out.slider(`${words} cutoff`, settings[`${name}_cutoff_hz`], 20, 20000, "1:log", "Hz");
        const width = out.slider(`${words} Q`, settings[`${name}_q`], q.minimum, 10, "0.001:log", "Q");
        out.library.sections ??= texts.sections;
        out.atSlider.push(`band(${out.bands}, ${texts.kinds[kind]}, ${gain}, ${cutoff}, ${width});`);
        for (const c of [0, 1]) {
          out.perSample.push(`spl${c} = filter(spl${c}, ${c}, ${2 * out.bands});`, `twice[${out.bands}] ? (spl${c} = filter(spl${c}, ${c}, ${2 * out.bands + 1}));`);
        }
        out.bands++;
      }
    },
    compressor(out, { parameters, settings }, texts) {
      const [threshold, ratio, attack, release, knee, makeup] = parameters.map((p) => out.knob(p, settings[p.name])), p = out.name();
      out.library.levels ??= texts.levels;
      out.atSlider.push(fill(texts.times, { p, attack, release }));
      const wanted = fill(texts.wanted, { ratio, left: "spl0", right: "spl1", threshold, knee });
      out.perSample.push(...texts.smoothed.map((line) => fill(line, { p, wanted, rise: "attack", fall: "release", gain_db: `(${makeup} - ${p}y)` })));
      for (const c of [0, 1]) out.perSample.push(`spl${c} *= ${p}gain;`);
    },
    gain(out, { parameters, settings }) {
      const p = out.name();
      out.atSlider.push(`${p}gain = 10 ^ (${out.knob(parameters[0], settings.gain_db)} / 20);`);
      out.perSample.push(`spl0 *= ${p}gain; spl1 *= ${p}gain;`);
    },
    limiter(out, { parameters, settings, config }, texts) {
      const p = out.name();
      for (const block of ["levels", "held", "average"]) out.library[block] ??= texts[block];
      const [gain, ceiling, release] = parameters.map((one) => out.knob(one, settings[one.name]));
      const names = { p, gain, ceiling, release, lookahead_ms: general(config.lookahead_ms, 6) };
      out.init.push(...texts.limiter_init.map((line) => fill(line, names)));
      out.late.push(`${p}late`);
      out.atSlider.push(fill(texts.limiter_slider, names));
      out.perSample.push(...texts.limiter_sample.map((line) => fill(line, names)));
    },
  };

  function reaper(view, chain) {
    const out = plugin(), texts = view.jsfx;
    out.library.nearest = texts.nearest;
    for (const effect of chain.effects) if (!effect.bypass) WRITERS[effect.effect](out, effect, texts);
    const knob = out.slider("output gain", chain.outputGainDb, -48, 48, "0.01", "dB");
    out.atSlider.push(`output_gain = 10 ^ (${knob} / 20);`);
    out.perSample.push("spl0 *= output_gain; spl1 *= output_gain;");
    if (out.sliders.length > 64) throw new Error(`a JSFX has at most 64 sliders, these settings need ${out.sliders.length}; use fewer bands`);
    const usage = "Use: copy this file into REAPER's folder Effects and add it to a track as a JS effect. Mono and stereo tracks.";
    const late = out.late.length ? ["@block", `pdc_delay = ${out.late.join(" + ")}; pdc_bot_ch = 0; pdc_top_ch = 2;`, ""] : [];
    return [`desc: ${view.title}`, ...Plan.header(view, "reaper", [usage], "//"), ...out.sliders, "in_pin:left input", "in_pin:right input",
      "out_pin:left output", "out_pin:right output", "", "@init", `free = ${texts.free};`, ...Object.values(out.library), ...out.init, "", "@slider", ...out.atSlider, "",
      ...late, "@sample", ...out.perSample, ""].join("\n");
  }

  return { faust, reaper };
})(typeof module !== "undefined" && typeof StylePlan === "undefined" ? require("./plan.js") : StylePlan);

if (typeof module !== "undefined") module.exports = StyleCode;
