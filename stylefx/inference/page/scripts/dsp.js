// The effects of stylefx in JavaScript: the same equations as the Python render, double precision, stateful, block by block.
// Used as it stands by the page, by its AudioWorklet and by the tests (there is no second copy).
"use strict";

const StyleDsp = ((Limiter) => {
  const LEVEL_FLOOR = Math.pow(10, -96 / 20);
  const CLAMP = 0.9; // of Nyquist: the highest cutoff that a section can hold
  const REFERENCE_RATE = 48000; // where the rate cannot hold a cutoff, the band does what it does at this one
  const NODES = [0.15, 0.32, 0.42, 0.45];
  const SHAPES = {
    // numerator and denominator of the analog prototype, coefficients of s^2, s, 1 (R. Bristow-Johnson's cookbook)
    peak: (a, r, q) => [[1, a / q, 1], [1, 1 / (a * q), 1]],
    low_shelf: (a, r, q) => [[a, (a * r) / q, a * a], [a, r / q, 1]],
    high_shelf: (a, r, q) => [[a * a, (a * r) / q, a], [1, r / q, a]],
    high_pass: (a, r, q) => [[1, 0, 0], [1, 1 / q, 1]],
    low_pass: (a, r, q) => [[0, 0, 1], [1, 1 / q, 1]],
    notch: (a, r, q) => [[1, 0, 1], [1, 1 / q, 1]],
  };

  const polynomials = (kind, gainDb, q, k) => {
    const a = Math.pow(10, gainDb / 40);
    return SHAPES[kind](a, Math.sqrt(a), q).map(([s2, s1, s0]) => [s2, s1 * k, s0 * k * k]);
  };

  // Polynomials of s = j tan(w / 2), [s^2, s, 1] each -> digital section
  function bilinear(num, den) {
    const [b, a] = [num, den].map(([s2, s1, s0]) => [s2 + s1 + s0, 2 * (s0 - s2), s2 - s1 + s0]);
    return { b0: b[0] / a[0], b1: b[1] / a[0], b2: b[2] / a[0], a1: a[1] / a[0], a2: a[2] / a[0] };
  }

  // One section, or two where the rate cannot hold the cutoff (kernels/low_rate.py says what and why)
  function section(kind, gainDb, cutoffHz, q, sampleRate) {
    const limit = CLAMP * 0.5 * Math.max(sampleRate, REFERENCE_RATE), cutoff = Math.min(cutoffHz, limit);
    if (sampleRate < REFERENCE_RATE && cutoff > CLAMP * 0.5 * sampleRate) {
      return mapped(kind, ...polynomials(kind, gainDb, q, Math.tan((Math.PI * cutoff) / REFERENCE_RATE)), sampleRate);
    }
    return [bilinear(...polynomials(kind, gainDb, q, Math.tan((Math.PI * cutoff) / sampleRate)))];
  }

  // a, b, c, d of x = y (a + b y) / (1 + c y + d y^2): tan^2 at 48 kHz from tan^2 at the rate, by inverse differences
  function frequencyMap(sampleRate) {
    const y = NODES.map((f) => Math.tan(Math.PI * f) ** 2);
    let row = NODES.map((f, i) => y[i] / Math.tan((Math.PI * f * sampleRate) / REFERENCE_RATE) ** 2);
    const r = [row[0]];
    for (let n = 1; n < 4; n++) {
      row = row.slice(1).map((v, i) => (y[n + i] - y[n - 1]) / (v - row[0]));
      r.push(row[0]);
    }
    const shift = r[2] * r[3] - y[2], a = r[1] * shift - r[3] * y[1], b = r[1] + r[3], unit = r[0] * a - y[0] * shift;
    return [a / unit, b / unit, (r[0] * b + shift - y[0]) / unit, 1 / unit];
  }

  function complexRoot(re, im) {
    const larger = Math.sqrt((Math.hypot(re, im) + Math.abs(re)) / 2), other = larger > 0 ? Math.abs(im) / (2 * larger) : 0;
    const sign = im < 0 ? -1 : 1;
    return re >= 0 ? [larger, sign * other] : [other, sign * larger];
  }

  // [s^2, s, 1] at 48 kHz -> two polynomials at the rate
  function factors([c2, c1, c0], [a, b, c, d]) {
    const roots = (re, im) => { // of Z^2 + (c - a v) Z + (d - b v), v complex
      const h = (a * re - c) / 2, g = (a * im) / 2, [p, q] = complexRoot(h * h - g * g - d + b * re, 2 * h * g + b * im);
      return [[h + p, g + q], [h - p, g - q]];
    };
    if (c1 === 0) return roots(c2 / c0, 0).map(([z]) => [z, 0, 1]);
    const mean = (c2 - (0.5 * c1 * c1) / c0) / c0, inside = c1 * c1 - 4 * c0 * c2;
    const spread = ((0.5 * c1) / c0 / c0) * Math.sqrt(Math.abs(inside));
    if (inside < 0) {
      return roots(mean, spread).map(([re, im]) => {
        const size = Math.hypot(re, im);
        return [size, Math.sqrt(2 * Math.max(size - re, 0)), 1];
      });
    }
    const high = roots(mean + spread, 0), low = roots(mean - spread, 0);
    return high.map(([z], i) => [z, low[i][0]].map((v) => Math.sqrt(Math.max(-v, 0)))).map(([p, q]) => [p * q, p + q, 1]);
  }

  function mapped(kind, num, den, sampleRate) {
    const map = frequencyMap(sampleRate), poles = factors(den, map), pass = kind === "high_pass";
    const zeros = pass ? [[1, 0, 0], [-map[1], 0, map[0]]] : factors(num, map), gain = (pass ? num[0] : num[2]) / den[2];
    return poles.map((p, i) => bilinear(zeros[i].map((v) => (i === 0 ? gain * v : v)), p));
  }

  // Bands of an equaliser as second-order sections; bands: [{name, kind}], settings: {<name>_gain_db, ...}
  function sections(bands, settings, sampleRate) {
    return bands.flatMap(({ name, kind }) =>
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
    const state = Array.from({ length: channels }, () => new Float64Array(4 * bands.length));
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

  function delay(samples, channels) {
    const lines = Array.from({ length: channels }, () => new Float64Array(samples));
    let place = 0;
    return (block) => {
      for (let i = 0; i < block[0].length; i++) {
        block.forEach((x, c) => { [x[i], lines[c][place]] = [lines[c][place], x[i]]; });
        place = place + 1 < samples ? place + 1 : 0;
      }
    };
  }

  // A chain: effects [{effect, bands?, config?, settings, bypass?}]; process() takes blocks of any length and keeps its state.
  // ``latency`` samples late; a bypassed effect still delays, so that switching it keeps the place.
  function chain(effects, outputGainDb, sampleRate, channels) {
    const make = { parametric_eq: (e) => equaliser(e.bands, channels), compressor, gain, limiter: Limiter };
    const stages = effects.map((e) => make[e.effect](e, channels, sampleRate));
    const waits = stages.map((stage) => (stage.latency ? delay(stage.latency, channels) : null));
    let factor = 1, active = [];
    function set(list, outputDb) {
      list.forEach((e, i) => stages[i].set(e.settings, sampleRate));
      active = stages.map((stage, i) => !list[i].bypass);
      factor = Math.pow(10, outputDb / 20);
    }
    set(effects, outputGainDb);
    return {
      set,
      latency: stages.reduce((total, stage) => total + (stage.latency || 0), 0),
      process(block) { // [Float64Array per channel], in place; returns the gain reduction in dB after the block
        let reduction = 0;
        stages.forEach((stage, i) => {
          if (active[i]) reduction += stage.process(block) || 0;
          else if (waits[i]) waits[i](block);
        });
        if (factor !== 1) for (const x of block) for (let i = 0; i < x.length; i++) x[i] *= factor;
        return reduction;
      },
    };
  }

  return { sections, responseDb, reductionDb, chain };
})(typeof module !== "undefined" && typeof StyleLimiter === "undefined" ? require("./limiter.js") : StyleLimiter);

if (typeof module !== "undefined") module.exports = StyleDsp;
