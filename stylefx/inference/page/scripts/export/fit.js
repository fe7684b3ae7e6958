// Compressors of other programs, fitted to ours as stylefx/foreign/fit.py does it, step by step, so that the numbers are the same.
"use strict";

const StyleFit = ((Dsp, Plan) => {
  const SECONDS = 2, ABOVE_THRESHOLD_DB = 24, MAX_RATIO = 20, EVALUATIONS = 220, CLOSE = 1e-4;

  function noise(n) { // M. E. O'Neill's RXS-M-XS of a counter
    const state = (Math.imul(n, 747796405) + 2891336453) >>> 0;
    const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737) >>> 0;
    return (((word >>> 22) ^ word) >>> 0) / 2147483648 - 1;
  }

  function probe(rate, peakDb) {
    const n = Math.round(SECONDS * rate), out = new Float64Array(n), powers = Array.from({ length: 15 }, (_, k) => k + 1).filter((k) => k * 130 < 0.45 * rate);
    let largest = 0;
    for (let i = 0; i < n; i++) {
      const t = i / rate;
      let tone = 0;
      for (const k of powers) tone += Math.sin(2 * Math.PI * k * 130 * t + k * k) / k;
      const syllable = Math.sin(2 * Math.PI * 3.1 * t) + 0.6 * Math.sin(2 * Math.PI * 0.7 * t) + 0.2;
      out[i] = Math.pow(Math.max(syllable, 0), 1.5) * (tone + 0.3 * noise(i));
      largest = Math.max(largest, Math.abs(out[i]));
    }
    const factor = Math.pow(10, peakDb / 20);
    return out.map((v) => (factor * v) / largest);
  }

  // Thresholds and ratios of hard knees that together resemble the soft one
  function corners({ thresholdDb, ratio, kneeDb }) {
    if (kneeDb === 0) return [[thresholdDb, ratio]];
    const half = 1 / (1 - 0.5 * (1 - 1 / ratio));
    return [-1, 1].map((side) => [thresholdDb + (side * kneeDb) / 4, half]);
  }

  function curve(stage, soft) { // level in dB -> reduction in dB
    if (!soft) {
      const parts = corners(stage);
      return (level) => parts.reduce((sum, [threshold, ratio]) => sum + (1 - 1 / ratio) * Math.max(level - threshold, 0), 0);
    }
    const settings = { threshold_db: stage.thresholdDb, ratio: stage.ratio, knee_db: stage.kneeDb };
    return (level) => Dsp.reductionDb(level, settings);
  }

  // Difference in dB between what a level-smoothing compressor makes of the audio and what is wanted
  function error(audio, wanted, power, stage, gainDb, rate, soft) {
    const [attack, release] = [stage.attackMs, stage.releaseMs].map((ms) => -Math.expm1((-1e3 * Plan.LN9) / (rate * ms))), reduce = curve(stage, soft);
    let e = 0, sum = 0;
    for (let i = 0; i < audio.length; i++) {
      const d = Math.abs(audio[i]) - e;
      e += (d > 0 ? attack : release) * d;
      const out = audio[i] * Math.pow(10, (gainDb - reduce(20 * Math.log10(Math.max(e, 1e-6)))) / 20) - wanted[i];
      sum += out * out;
    }
    return 10 * Math.log10(sum / audio.length / power + 1e-30);
  }

  function ours(audio, stage, rate) {
    const settings = { threshold_db: stage.thresholdDb, ratio: stage.ratio, attack_ms: stage.attackMs, release_ms: stage.releaseMs, knee_db: stage.kneeDb, makeup_gain_db: 0 };
    const block = Float64Array.from(audio, Math.fround);
    Dsp.chain([{ effect: "compressor", settings }], 0, rate, 1).process([block]);
    return block.map(Math.fround);
  }

  // J. A. Nelder and R. Mead, as scipy has it, from a given simplex: {x, f}
  function minimise(f, simplex) {
    const n = simplex.length - 1, spent = {};
    let calls = 0;
    const ask = (x) => { if (calls >= EVALUATIONS) throw spent; calls++; return f(x); };
    const mix = (a, x, b, y) => x.map((v, i) => a * v - b * y[i]);
    const sorted = (list) => list.map((p, i) => [p, i]).sort((p, q) => p[0].f - q[0].f || p[1] - q[1]).map((p) => p[0]);
    let points = sorted(simplex.map((x) => ({ x, f: ask(x) })));
    const shrink = () => {
      for (let j = 1; j <= n; j++) {
        points[j] = { x: points[0].x.map((v, i) => v + 0.5 * (points[j].x[i] - v)), f: points[j].f };
        points[j].f = ask(points[j].x);
      }
    };
    function step() {
      const worst = points[n], middle = worst.x.map((_, i) => points.slice(0, n).reduce((sum, p) => sum + p.x[i], 0) / n);
      const at = (x) => ({ x, f: ask(x) }), reflected = at(mix(2, middle, 1, worst.x));
      if (reflected.f < points[0].f) {
        const expanded = at(mix(3, middle, 2, worst.x));
        points[n] = expanded.f < reflected.f ? expanded : reflected;
      } else if (reflected.f < points[n - 1].f) points[n] = reflected;
      else if (reflected.f < worst.f) {
        const outside = at(mix(1.5, middle, 0.5, worst.x));
        if (outside.f <= reflected.f) points[n] = outside;
        else shrink();
      } else {
        const inside = at(middle.map((v, i) => 0.5 * v + 0.5 * worst.x[i]));
        if (inside.f < worst.f) points[n] = inside;
        else shrink();
      }
    }
    const near = () => points.slice(1).every((p) => Math.abs(p.f - points[0].f) <= CLOSE && p.x.every((v, i) => Math.abs(v - points[0].x[i]) <= CLOSE));
    while (calls < EVALUATIONS && !near()) {
      try { step(); } catch (thrown) { if (thrown !== spent) throw thrown; }
      points = sorted(points);
    }
    return points[0];
  }

  const known = new Map(); // ffmpeg, SoX and LV2 ask for the same

  function fitted(...question) {
    const key = JSON.stringify(question);
    if (!known.has(key)) known.set(key, fit(...question));
    return known.get(key);
  }

  // {stage, gainDb, beforeDb, afterDb}
  function fit(stage, rate, soft) {
    const audio = probe(rate, Math.min(-1, stage.thresholdDb + ABOVE_THRESHOLD_DB)), wanted = ours(audio, stage, rate);
    const power = wanted.reduce((sum, v) => sum + v * v, 0) / wanted.length;
    const read = (x) => {
      const slope = Math.min(Math.exp(x[1]), 1 - 1 / MAX_RATIO);
      return [{ ...stage, thresholdDb: stage.thresholdDb + x[0], ratio: 1 / (1 - slope), attackMs: Math.exp(Math.min(x[2], 9)), releaseMs: Math.exp(Math.min(x[3], 9)) }, x[4]];
    };
    const start = [0, Math.log(1 - 1 / stage.ratio), Math.log(stage.attackMs), Math.log(stage.releaseMs), 0], steps = [4, 0.2, -1, 0.7, 0.5];
    const beforeDb = error(audio, wanted, power, stage, 0, rate, soft);
    const best = minimise((x) => error(audio, wanted, power, ...read(x), rate, soft), [start, ...steps.map((step, k) => start.map((v, i) => v + (i === k ? step : 0)))]);
    if (!(best.f < beforeDb)) return { stage, gainDb: 0, beforeDb, afterDb: beforeDb };
    const [found, gainDb] = read(best.x);
    return { stage: found, gainDb, beforeDb, afterDb: best.f };
  }

  // The plan's stages with every compressor fitted, and a note for each
  function compressors(stages, rate, soft = true) {
    const notes = [], out = stages.flatMap((stage) => {
      if (stage.is !== "compressor" || stage.thresholdDb >= 0) return [stage];
      const found = fitted(stage, rate ?? 44100, soft);
      notes.push(`Compressor fitted to ours: ${Plan.fixed(found.afterDb, 1)} dB difference on a test signal (${Plan.fixed(found.beforeDb, 1)} dB as it was).`);
      return [found.stage, { is: "gain", gainDb: found.gainDb }];
    });
    return { stages: out, notes };
  }

  return { compressors, corners, fitted };
})(...(typeof module !== "undefined" && typeof StyleDsp === "undefined" ? [require("../dsp.js"), require("./plan.js")] : [StyleDsp, StylePlan]));

if (typeof module !== "undefined") module.exports = StyleFit;
