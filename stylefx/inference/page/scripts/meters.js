// Loudness (ITU-R BS.1770-4), true peak (its annex 2), average spectra and the gain-reduction trace of short excerpts.
"use strict";

const StyleMeters = ((Dsp) => {
  const HALF = [
    [0.001708984375, 0.010986328125, -0.0196533203125, 0.033203125, -0.0594482421875, 0.1373291015625,
      0.97216796875, -0.102294921875, 0.047607421875, -0.026611328125, 0.014892578125, -0.00830078125],
    [-0.0291748046875, 0.029296875, -0.0517578125, 0.089111328125, -0.16650390625, 0.465087890625,
      0.77978515625, -0.2003173828125, 0.1015625, -0.0582275390625, 0.0330810546875, -0.0189208984375],
  ];
  const TAPS = [...HALF, [...HALF[1]].reverse(), [...HALF[0]].reverse()];

  // K-weighting of any rate, [b0, b1, b2, a1, a2] per section, from the analog filters behind the standard's 48 kHz table
  function weighting(sampleRate) {
    const poles = (k, q) => [2 * (k * k - 1), 1 - k / q + k * k, 1 + k / q + k * k];
    const high = Math.pow(10, 3.999843853973347 / 20), band = Math.pow(high, 0.4996667741545416), q = 0.7071752369554196;
    const k = Math.tan((Math.PI * 1681.974450955533) / sampleRate), [a1, a2, a0] = poles(k, q);
    const zeros = [high + (band * k) / q + k * k, 2 * (k * k - high), high - (band * k) / q + k * k];
    const [c1, c2, c0] = poles(Math.tan((Math.PI * 38.13547087602444) / sampleRate), 0.5003270373238773);
    return [[...zeros, a1, a2].map((v) => v / a0), [1, -2, 1, c1 / c0, c2 / c0]];
  }

  // Weighted energy of every whole tenth of a second of one channel
  function energies(x, [[b0, b1, b2, a1, a2], [c0, c1, c2, d1, d2]], bound) {
    const out = [];
    let u = 0, v = 0, s = 0, t = 0;
    for (let j = 0; bound(j + 1) <= x.length; j++) {
      let total = 0;
      for (let i = bound(j), stop = bound(j + 1); i < stop; i++) {
        const a = b0 * x[i] + u, y = c0 * a + s;
        u = b1 * x[i] - a1 * a + v;
        v = b2 * x[i] - a2 * a;
        s = c1 * a - d1 * y + t;
        t = c2 * a - d2 * y;
        total += y * y;
      }
      out.push(total);
    }
    return out;
  }

  // Integrated loudness in LUFS of [Float32Array per channel]; -Infinity for silence, NaN below 0.4 s
  function lufs(channels, sampleRate) {
    const length = channels[0].length, bound = (j) => Math.round((j * sampleRate) / 10);
    if (length < bound(4)) return NaN;
    const each = channels.map((x) => energies(x, weighting(sampleRate), bound));
    const tenths = each[0].map((_, j) => each.reduce((sum, list) => sum + list[j], 0));
    const powers = tenths.slice(3).map((last, j) => (tenths[j] + tenths[j + 1] + tenths[j + 2] + last) / (bound(j + 4) - bound(j)));
    const level = (p) => -0.691 + 10 * Math.log10(p), mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
    const loud = powers.filter((p) => level(p) > -70);
    if (!loud.length) return -Infinity;
    const gate = level(mean(loud)) - 10;
    return level(mean(loud.filter((p) => level(p) > gate)));
  }

  // Largest sample, linear
  function peak(channels) {
    let most = 0;
    for (const x of channels) for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i]));
    return most;
  }

  // Largest sample of the four times oversampled signal, dBTP
  function truePeak(channels) {
    let most = peak(channels);
    const BLOCK = 64;
    for (const x of channels) {
      for (let start = 0; start < x.length + 11; start += BLOCK) {
        const stop = Math.min(start + BLOCK, x.length + 11);
        let largest = 0;
        for (let i = Math.max(0, start - 11); i < Math.min(stop, x.length); i++) largest = Math.max(largest, Math.abs(x[i]));
        if (largest * 2.1 <= most) continue; // no output of the filter can be larger than 2.1 times what it sees
        for (let i = start; i < stop; i++) {
          for (const taps of TAPS) {
            let total = 0;
            for (let k = Math.max(0, i - x.length + 1); k < 12 && k <= i; k++) total += taps[k] * x[i - k];
            most = Math.max(most, Math.abs(total));
          }
        }
      }
    }
    return 20 * Math.log10(most);
  }

  function fft(re, im) { // radix 2, in place
    const n = re.length;
    for (let i = 1, j = 0; i < n; i++) {
      let bit = n >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
    }
    for (let size = 2; size <= n; size <<= 1) {
      const angle = (-2 * Math.PI) / size, half = size >> 1;
      for (let k = 0; k < half; k++) {
        const wr = Math.cos(angle * k), wi = Math.sin(angle * k);
        for (let i = k; i < n; i += size) {
          const j = i + half, tr = wr * re[j] - wi * im[j], ti = wr * im[j] + wi * re[j];
          re[j] = re[i] - tr; im[j] = im[i] - ti; re[i] += tr; im[i] += ti;
        }
      }
    }
  }

  // Mean power per third of an octave band around each frequency, dB relative to a full-scale sine
  function spectrum(channels, sampleRate, freqs) {
    const n = 4096, power = new Float64Array(n / 2 + 1), re = new Float64Array(n), im = new Float64Array(n);
    const hann = Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n));
    let frames = 0;
    for (const x of channels) {
      for (let start = 0; start === 0 || start + n <= x.length; start += n / 2) {
        for (let i = 0; i < n; i++) { re[i] = hann[i] * (x[start + i] || 0); im[i] = 0; }
        fft(re, im);
        for (let k = 0; k <= n / 2; k++) power[k] += re[k] * re[k] + im[k] * im[k];
        frames++;
      }
    }
    const scale = 4 / (n * n * 0.375 * frames) ;
    return freqs.map((f) => {
      const low = (f * Math.pow(2, -1 / 6) * n) / sampleRate, high = (f * Math.pow(2, 1 / 6) * n) / sampleRate;
      if (high >= n / 2) return NaN;
      let total = 0;
      for (let k = Math.floor(low); k <= Math.ceil(high); k++) { // bins that lie partly inside count partly
        const share = Math.min(high, k + 0.5) - Math.max(low, k - 0.5);
        if (share > 0) total += share * power[k];
      }
      return 10 * Math.log10(total * scale + 1e-12);
    });
  }

  // Render an excerpt, look-ahead compensated, and trace the reduction: {channels: [Float32Array], reduction: [dB per step]}
  function render(effects, outputGainDb, channels, sampleRate) {
    const chain = Dsp.chain(effects, outputGainDb, sampleRate, channels.length), late = chain.latency, length = channels[0].length;
    const step = Math.max(1, Math.round(sampleRate / 100)), out = channels.map((x) => new Float32Array(x.length)), reduction = [];
    for (let start = 0; start < length + late; start += step) {
      const size = Math.min(step, length + late - start);
      const block = channels.map((x) => {
        const padded = new Float64Array(size);
        padded.set(x.subarray(Math.min(start, length), Math.min(start + size, length)));
        return padded;
      });
      const db = chain.process(block), skip = Math.max(0, late - start);
      if (skip < size) block.forEach((x, c) => out[c].set(x.subarray(skip), start + skip - late));
      if (reduction.length * step < length) reduction.push(db);
    }
    return { channels: out, reduction, stepS: step / sampleRate };
  }

  return { lufs, peak, truePeak, spectrum, render };
})(typeof module !== "undefined" && typeof StyleDsp === "undefined" ? require("./dsp.js") : StyleDsp);

if (typeof module !== "undefined") module.exports = StyleMeters;
