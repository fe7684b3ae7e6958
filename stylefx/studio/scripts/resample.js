// Sample-rate conversion by a windowed sinc, aligned with the input; its pass band and depth are those of soxr's HQ.
"use strict";

const StyleResample = (() => {
  const PASS = 0.9136, DEPTH_DB = 129; // of the lower Nyquist frequency, stop band from 1 on; the depth that comes nearest to soxr's edge
  const BETA = 0.1102 * (DEPTH_DB - 8.7);
  const MOST_PHASES = 2048; // of rates whose ratio has more, neighbouring phases are one

  function bessel(x) {
    let sum = 1, term = 1;
    for (let k = 1; term > 1e-12 * sum; k++) { term *= (x / (2 * k)) ** 2; sum += term; }
    return sum;
  }

  const divisor = (a, b) => (b ? divisor(b, a % b) : a);

  // The kernel at every place that an output sample can have between two inputs: {half, phases: [Float64Array of 2 half taps]}
  const tables = new Map();
  function table(ratio, count) {
    const key = `${ratio} ${count}`;
    if (tables.has(key)) return tables.get(key);
    const nyquist = 0.5 * Math.min(1, ratio), cut = (nyquist * (1 + PASS)) / 2, width = nyquist * (1 - PASS);
    // length of a Kaiser window for the depth, half of it, in samples of the input
    const reach = (((7.528358e-4 - 1.577737e-5 * BETA) * BETA + 0.6248022) * BETA + 0.06186902) / width / 2 + 0.5, half = Math.ceil(reach);
    const top = bessel(BETA);
    const at = (t) => {
      const inside = 1 - (t / reach) ** 2, x = 2 * Math.PI * cut * t;
      return inside < 0 ? 0 : 2 * cut * (t === 0 ? 1 : Math.sin(x) / x) * (bessel(BETA * Math.sqrt(inside)) / top);
    };
    const phases = Array.from({ length: count }, (_, p) => Float64Array.from({ length: 2 * half }, (_, k) => at(k - half + 1 - p / count)));
    tables.set(key, { half, phases });
    return tables.get(key);
  }

  // One channel; by default round(length x to / from) samples, halves upwards
  function resample(x, from, to, length = Math.floor((2 * x.length * to + from) / (2 * from))) {
    if (from === to) return x.slice(0, length);
    const count = Math.min(to / divisor(from, to), MOST_PHASES), { half, phases } = table(to / from, count), out = new Float32Array(length);
    const padded = new Float32Array(Math.max(x.length, Math.ceil((length * from) / to)) + 2 * half + 1);
    padded.set(x, half - 1);
    for (let i = 0; i < length; i++) {
      const place = Math.round(((i * from) / to) * count), first = Math.floor(place / count), taps = phases[place % count];
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k] * padded[first + k];
      out[i] = sum;
    }
    return out;
  }

  return { resample };
})();

if (typeof module !== "undefined") module.exports = StyleResample;
