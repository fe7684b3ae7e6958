// Small numbers that Python and JavaScript do differently, and a Fourier transform of real signals.
"use strict";

const StyleNumbers = (() => {
  const roundHalfEven = (v) => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v));
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const db = (power) => 10 * Math.log10(power);

  function median(list) {
    const sorted = Float64Array.from(list).sort(), half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  // As numpy: linear between the two nearest ranks
  function percentile(list, percent) {
    const sorted = Float64Array.from(list).sort(), place = (percent / 100) * (sorted.length - 1), low = Math.floor(place);
    return sorted[low] + (place - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  }

  // Standard deviation of the population
  function spread(list) {
    const centre = mean(list);
    return Math.sqrt(list.reduce((sum, v) => sum + (v - centre) ** 2, 0) / list.length);
  }

  // A transform of one power of two, its tables made once: power(x) of a real signal -> squared magnitudes of n / 2 + 1 bins
  function transform(n) {
    const half = n / 2, re = new Float64Array(half), im = new Float64Array(half), cosine = new Float64Array(half), sine = new Float64Array(half);
    const reversed = new Uint32Array(half);
    for (let k = 0; k < half; k++) {
      cosine[k] = Math.cos((2 * Math.PI * k) / n);
      sine[k] = -Math.sin((2 * Math.PI * k) / n);
      reversed[k] = (reversed[k >> 1] >> 1) | (k & 1 ? half >> 1 : 0);
    }

    function run() { // radix 2 over half as many complex numbers
      for (let size = 2; size <= half; size <<= 1) {
        const middle = size >> 1, stride = n / size;
        for (let start = 0; start < half; start += size) {
          for (let k = 0, t = 0; k < middle; k++, t += stride) {
            const i = start + k, j = i + middle, wr = cosine[t], wi = sine[t];
            const tr = wr * re[j] - wi * im[j], ti = wr * im[j] + wi * re[j];
            re[j] = re[i] - tr; im[j] = im[i] - ti; re[i] += tr; im[i] += ti;
          }
        }
      }
    }

    return function power(x, out = new Float64Array(half + 1)) {
      for (let k = 0; k < half; k++) { re[reversed[k]] = x[2 * k]; im[reversed[k]] = x[2 * k + 1]; }
      run();
      for (let k = 0; k <= half; k++) { // even and odd samples apart
        const i = k % half, j = (half - k) % half;
        const er = (re[i] + re[j]) / 2, ei = (im[i] - im[j]) / 2, or = (im[i] + im[j]) / 2, oi = (re[j] - re[i]) / 2;
        const c = k === half ? -1 : cosine[k], s = k === half ? 0 : sine[k];
        const r = er + c * or - s * oi, v = ei + c * oi + s * or;
        out[k] = r * r + v * v;
      }
      return out;
    };
  }

  return { roundHalfEven, mean, median, percentile, spread, db, transform };
})();

if (typeof module !== "undefined") module.exports = StyleNumbers;
