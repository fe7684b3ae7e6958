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
  const WEIGHTING = [{ name: "shelf", kind: "high_shelf" }, { name: "pass", kind: "high_pass" }];
  const WEIGHTING_SETTINGS = {
    shelf_gain_db: 4, shelf_cutoff_hz: 1500, shelf_q: Math.SQRT1_2, pass_cutoff_hz: 38, pass_q: 0.5,
  };

  // Integrated loudness in LUFS of [Float32Array per channel]; -Infinity for silence, NaN below 0.4 s
  function lufs(channels, sampleRate) {
    const copies = channels.map((x) => Float64Array.from(x));
    const effects = [{ effect: "parametric_eq", bands: WEIGHTING, settings: WEIGHTING_SETTINGS }];
    Dsp.chain(effects, 0, sampleRate, copies.length).process(copies);
    const length = copies[0].length, bound = (j) => Math.trunc(0.1 * j * sampleRate);
    const count = Math.round((length / sampleRate - 0.4) / 0.1) + 1;
    if (length < 0.4 * sampleRate) return NaN;
    const powers = [];
    for (let j = 0; j < count; j++) {
      let total = 0;
      for (const x of copies) for (let i = bound(j); i < Math.min(bound(j + 4), length); i++) total += x[i] * x[i];
      powers.push(total / (0.4 * sampleRate));
    }
    const level = (p) => -0.691 + 10 * Math.log10(p), mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
    const loud = powers.filter((p) => level(p) >= -70);
    if (!loud.length) return -Infinity;
    const gate = level(mean(loud)) - 10;
    return level(mean(powers.filter((p) => level(p) > gate && level(p) > -70)));
  }

  // Largest sample of the four times oversampled signal, dBTP
  function truePeak(channels) {
    let peak = 0;
    for (const x of channels) for (const v of x) peak = Math.max(peak, Math.abs(v));
    for (const x of channels) {
      for (let i = 0; i < x.length + 11; i++) {
        let largest = 0;
        for (let k = 0; k < 12; k++) largest = Math.max(largest, Math.abs(x[i - k] || 0));
        if (largest * 2.1 <= peak) continue; // no output of the filter can be larger than 2.1 times what it sees
        for (const taps of TAPS) {
          let total = 0;
          for (let k = 0; k < 12; k++) total += taps[k] * (x[i - k] || 0);
          peak = Math.max(peak, Math.abs(total));
        }
      }
    }
    return 20 * Math.log10(peak);
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

  // Render an excerpt and trace the reduction: {channels: [Float32Array], reduction: [dB per step], stepS}
  function render(effects, outputGainDb, channels, sampleRate) {
    const chain = Dsp.chain(effects, outputGainDb, sampleRate, channels.length);
    const step = Math.max(1, Math.round(sampleRate / 100)), out = channels.map((x) => new Float32Array(x.length)), reduction = [];
    for (let start = 0; start < channels[0].length; start += step) {
      const block = channels.map((x) => Float64Array.from(x.subarray(start, start + step)));
      reduction.push(chain.process(block));
      block.forEach((x, c) => out[c].set(x, start));
    }
    return { channels: out, reduction, stepS: step / sampleRate };
  }

  return { lufs, truePeak, spectrum, render };
})(typeof module !== "undefined" && typeof StyleDsp === "undefined" ? require("./dsp.js") : StyleDsp);

if (typeof module !== "undefined") module.exports = StyleMeters;
