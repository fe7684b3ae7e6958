// The effects of stylefx in JavaScript: the same equations as the Python render, double precision, stateful, block by block.
// Used as it stands by the page, by its AudioWorklet and by the tests (there is no second copy).
"use strict";

const StyleDsp = (() => {
  const LEVEL_FLOOR = Math.pow(10, -96 / 20);
  const CLAMP = 0.9; // of Nyquist: higher cutoffs are rendered there
  const SHAPES = {
    // numerator and denominator of the analog prototype, coefficients of s^2, s, 1 (R. Bristow-Johnson's cookbook)
    peak: (a, r, q) => [[1, a / q, 1], [1, 1 / (a * q), 1]],
    low_shelf: (a, r, q) => [[a, (a * r) / q, a * a], [a, r / q, 1]],
    high_shelf: (a, r, q) => [[a * a, (a * r) / q, a], [1, r / q, a]],
    high_pass: (a, r, q) => [[1, 0, 0], [1, 1 / q, 1]],
    low_pass: (a, r, q) => [[0, 0, 1], [1, 1 / q, 1]],
    notch: (a, r, q) => [[1, 0, 1], [1, 1 / q, 1]],
  };

  function section(kind, gainDb, cutoffHz, q, sampleRate) {
    const k = Math.tan((Math.PI * Math.min(cutoffHz, CLAMP * 0.5 * sampleRate)) / sampleRate);
    const a = Math.pow(10, gainDb / 40);
    const [num, den] = SHAPES[kind](a, Math.sqrt(a), q).map(([s2, s1, s0]) => [
      s2 + s1 * k + s0 * k * k, 2 * (s0 * k * k - s2), s2 - s1 * k + s0 * k * k,
    ]);
    return { b0: num[0] / den[0], b1: num[1] / den[0], b2: num[2] / den[0], a1: den[1] / den[0], a2: den[2] / den[0] };
  }

  // Bands of an equaliser as second-order sections; bands: [{name, kind}], settings: {<name>_gain_db, ...}
  function sections(bands, settings, sampleRate) {
    return bands.map(({ name, kind }) =>
      section(kind, settings[name + "_gain_db"] || 0, settings[name + "_cutoff_hz"], settings[name + "_q"], sampleRate));
  }

  function responseDb(list, freqHz, sampleRate) {
    let db = 0;
    const w = (2 * Math.PI * freqHz) / sampleRate;
    const c1 = Math.cos(w), s1 = Math.sin(w), c2 = Math.cos(2 * w), s2 = Math.sin(2 * w);
    for (const { b0, b1, b2, a1, a2 } of list) {
      const nr = b0 + b1 * c1 + b2 * c2, ni = b1 * s1 + b2 * s2, dr = 1 + a1 * c1 + a2 * c2, di = a1 * s1 + a2 * s2;
      db += 10 * Math.log10((nr * nr + ni * ni) / (dr * dr + di * di));
    }
    return db;
  }

  function equaliser(bands, channels) {
    let list = [];
    const state = Array.from({ length: channels }, () => new Float64Array(2 * bands.length));
    return {
      set(settings, sampleRate) { list = sections(bands, settings, sampleRate); },
      process(block) { // [Float32Array or Float64Array per channel], in place
        for (let c = 0; c < block.length; c++) {
          const x = block[c], z = state[c];
          for (let s = 0; s < list.length; s++) {
            const { b0, b1, b2, a1, a2 } = list[s];
            let u = z[2 * s], v = z[2 * s + 1];
            for (let i = 0; i < x.length; i++) {
              const y = b0 * x[i] + u;
              u = b1 * x[i] - a1 * y + v;
              v = b2 * x[i] - a2 * y;
              x[i] = y;
            }
            z[2 * s] = u; z[2 * s + 1] = v;
          }
        }
      },
    };
  }

  // Gain reduction in dB of a steady level (Giannoulis, Massberg, Reiss, JAES 60(6), 2012, equation 4)
  function reductionDb(levelDb, s) {
    const d = levelDb - s.threshold_db, inside = Math.min(Math.max(d + s.knee_db / 2, 0), s.knee_db);
    const knee = s.knee_db > 0 ? (inside * inside) / (2 * s.knee_db) : 0;
    return (1 - 1 / s.ratio) * (knee + Math.max(d - s.knee_db / 2, 0));
  }

  // One side chain for all channels; the reduction is smoothed, attack where it rises, release where it falls (10-90 % times)
  function compressor() {
    let s = null, attack = 0, release = 0, y = 0;
    const coefficient = (ms, rate) => Math.exp(-Math.log(9) / (rate * ms * 1e-3));
    return {
      set(settings, sampleRate) {
        s = settings;
        attack = coefficient(s.attack_ms, sampleRate);
        release = coefficient(s.release_ms, sampleRate);
      },
      process(block) { // in place; returns the reduction in dB after the last sample
        const n = block[0].length, makeup = s.makeup_gain_db;
        for (let i = 0; i < n; i++) {
          let peak = LEVEL_FLOOR;
          for (let c = 0; c < block.length; c++) peak = Math.max(peak, Math.abs(block[c][i]));
          const r = reductionDb(20 * Math.log10(peak), s), a = r > y ? attack : release;
          y = a * y + (1 - a) * r;
          const gain = Math.pow(10, (makeup - y) / 20);
          for (let c = 0; c < block.length; c++) block[c][i] *= gain;
        }
        return y;
      },
    };
  }

  function gain() {
    let factor = 1;
    return {
      set(settings) { factor = Math.pow(10, settings.gain_db / 20); },
      process(block) { for (const x of block) for (let i = 0; i < x.length; i++) x[i] *= factor; },
    };
  }

  // A chain: effects [{effect, bands?, settings, bypass?}]; process() takes blocks of any length and keeps its state.
  function chain(effects, outputGainDb, sampleRate, channels) {
    const make = { parametric_eq: (e) => equaliser(e.bands, channels), compressor, gain };
    const stages = effects.map((e) => make[e.effect](e));
    let factor = 1, active = [];
    function set(list, outputDb) {
      list.forEach((e, i) => stages[i].set(e.settings, sampleRate));
      active = stages.map((stage, i) => !list[i].bypass);
      factor = Math.pow(10, outputDb / 20);
    }
    set(effects, outputGainDb);
    return {
      set,
      process(block) { // [Float64Array per channel], in place; returns the largest gain reduction in dB after the block
        let reduction = 0;
        stages.forEach((stage, i) => {
          if (active[i]) reduction = Math.max(reduction, stage.process(block) || 0);
        });
        if (factor !== 1) for (const x of block) for (let i = 0; i < x.length; i++) x[i] *= factor;
        return reduction;
      },
    };
  }

  return { sections, responseDb, reductionDb, chain };
})();

if (typeof module !== "undefined") module.exports = StyleDsp;
