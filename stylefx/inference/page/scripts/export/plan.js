// What every export starts from, as in stylefx/inference/export/stages.py: bands, compressors and gains in the order of the chain.
"use strict";

const StylePlan = ((Dsp) => {
  const LN9 = 2.1972245773362196, REFERENCE_RATE = 48000, HALF_CLAMP = 0.45;
  const GAIN_KINDS = ["peak", "low_shelf", "high_shelf"], KNOWN = ["parametric_eq", "compressor", "gain"];

  // Numbers as Python writes them: %.<digits>g, %.<digits>f (halves to the even one), and nine digits without an exponent
  function general(value, digits) {
    if (value === 0) return "0";
    const [mantissa, power] = value.toExponential(digits - 1).split("e"), exponent = Number(power);
    const plain = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
    if (exponent >= -4 && exponent < digits) return plain(value.toFixed(digits - 1 - exponent));
    return `${plain(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  function fixed(value, digits) {
    const scale = Math.pow(10, digits), scaled = value * scale;
    if (Math.abs(scaled % 1) === 0.5 && scaled / scale === value) return (2 * Math.round(scaled / 2) / scale).toFixed(digits);
    return value.toFixed(digits);
  }
  const number = (value) => { const text = general(value, 9); return text.includes("e") ? fixed(value, 12) : text; };
  const fill = (line, names) => line.replace(/\{(\w+)\}/g, (_, name) => names[name]);

  const beyond = (cutoffHz, rate) => rate < REFERENCE_RATE && cutoffHz > HALF_CLAMP * rate;
  const clamp = (cutoffHz, rate) => Math.min(cutoffHz, HALF_CLAMP * Math.max(rate, REFERENCE_RATE));
  const neutral = (stage) => ({ band: GAIN_KINDS.includes(stage.kind) && stage.gainDb === 0, compressor: stage.ratio === 1, gain: stage.gainDb === 0 }[stage.is]);

  function band({ name, kind }, settings, rate) {
    const asked = settings[`${name}_cutoff_hz`], q = settings[`${name}_q`], gainDb = settings[`${name}_gain_db`] ?? 0;
    const sections = rate !== null && beyond(asked, rate) ? Dsp.sections([{ name, kind }], settings, rate) : [];
    return { is: "band", name, kind, gainDb, q, cutoffHz: rate === null ? asked : clamp(asked, rate),
      sections: sections.map(({ b0, b1, b2, a1, a2 }) => [b0, b1, b2, 1, a1, a2]) };
  }

  function stagesOf({ effect, bands, settings: s }, rate) {
    if (effect === "parametric_eq") return bands.map((one) => band(one, s, rate));
    if (effect === "gain") return [{ is: "gain", gainDb: s.gain_db }];
    return [{ is: "compressor", thresholdDb: s.threshold_db, ratio: s.ratio, attackMs: s.attack_ms, releaseMs: s.release_ms, kneeDb: s.knee_db },
      { is: "gain", gainDb: s.makeup_gain_db }];
  }

  function moved(bands, settings, rate) {
    return bands.flatMap(({ name }) => {
      const asked = settings[`${name}_cutoff_hz`], cutoff = clamp(asked, rate), where = `of ${general(rate, 6)} Hz audio`;
      if (beyond(asked, rate)) {
        return [`${name}: ${general(asked, 6)} Hz is above 0.9 Nyquist ${where}: two sections that do what the`,
          "band does at 48 kHz; they are for this rate alone."];
      }
      return cutoff === asked ? [] : [`${name}: ${general(asked, 6)} Hz is above 0.9 Nyquist ${where} and set to ${general(cutoff, 6)} Hz.`];
    });
  }

  // chain: {effects: [{effect, bands?, config, settings, bypass}], outputGainDb, rate (null: any)}
  function stages(chain, target, { dropNeutral = true, limits = false } = {}) {
    const notes = [], active = chain.effects.filter((e) => !e.bypass);
    let out = [], limiter = null, afterDb = chain.outputGainDb;
    for (const effect of active) {
      if (effect.effect === "limiter" && effect === chain.effects[chain.effects.length - 1]) {
        limiter = { gainDb: effect.settings.gain_db, ceilingDb: effect.settings.ceiling_db, releaseMs: effect.settings.release_ms, lookaheadMs: effect.config.lookahead_ms };
        continue;
      }
      if (!KNOWN.includes(effect.effect)) throw new Error(`${target} has no counterpart of the effect '${effect.effect}' in this place`);
      out.push(...stagesOf(effect, chain.rate));
      if (effect.effect === "parametric_eq" && chain.rate !== null) notes.push(...moved(effect.bands, effect.settings, chain.rate));
    }
    if (limiter && !limits) {
      out.push({ is: "gain", gainDb: limiter.gainDb });
      notes.push("Of the limiter at the end only the gain is here: put a limiter after this, with its", `ceiling at ${fixed(limiter.ceilingDb, 2)} dB.`);
      limiter = null;
    }
    if (!limiter) [out, afterDb] = [[...out, { is: "gain", gainDb: afterDb }], 0];
    return { stages: dropNeutral ? out.filter((stage) => !neutral(stage)) : out, limiter, afterDb, notes };
  }

  function header(view, target, notes, mark = "#") {
    const rate = view.rate === null ? "any rate" : `audio of ${general(view.rate, 6)} Hz`;
    return [view.title, `Written by \`stylefx export --to ${target}\` for ${rate}.`, ...notes].map((line) => `${mark} ${line}`.trimEnd());
  }

  // Limiters of other programs, see limiters.py; matches: what that file holds
  const earlyMs = (limiter, match) => match.early * limiter.lookaheadMs;
  const releaseMs = (limiter, match) => match.release_ms + match.release * limiter.releaseMs;
  const limiterNotes = ({ left_db: [three, six] }) =>
    [`Limiter fitted to ours: ${three} dB difference on a test signal where 3 dB are taken away, ${six} dB at 6.`];

  return { LN9, general, fixed, number, fill, neutral, stages, header, earlyMs, releaseMs, limiterNotes };
})(typeof module !== "undefined" && typeof StyleDsp === "undefined" ? require("../dsp.js") : StyleDsp);

if (typeof module !== "undefined") module.exports = StylePlan;
