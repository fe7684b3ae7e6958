// The encoder ``averages``: plain numbers of a mono window (stylefx/models/features.py and models/solver/averages.py say what).
"use strict";

const StyleFeatures = ((Numbers) => {
  const { roundHalfEven, mean, spread } = Numbers;
  const COARSE = 4, QUANTILES = [0.05, 0.5, 0.95], LAGS = [1, 2, 4];
  const LEVELS = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0];
  const BLOCK_LAGS = [1, 2, 4, 8, 16, 32, 64], HOP_S = 0.0025, FLOOR_POWER = 1e-10;
  const LOW_HZ = 40, HIGH_HZ = 20000, WINDOW_S = 2048 / 24000, FRAME_HOP_S = 1024 / 24000, FINE = 32;

  const standard = (power, floor) => (10 * Math.log10(power + floor) + 60) / 20;
  const rank = (p, n) => roundHalfEven(p * (n - 1));

  // Triangles on a logarithmic axis: [{first, weights}] per band, each of sum 1; a band above Nyquist has none
  function bandMatrix(count, bins, rate) {
    const step = Math.log(HIGH_HZ / LOW_HZ) / (count - 1), rows = Array.from({ length: count }, () => new Map());
    const add = (band, bin, weight) => {
      if (band >= 0 && band < count && weight > 0) rows[band].set(bin, (rows[band].get(bin) || 0) + weight);
    };
    for (let i = 0; i <= (bins - 1) * FINE; i++) {
      const hz = Math.max((i * rate) / 2 / ((bins - 1) * FINE), 1e-3), place = Math.log(hz / LOW_HZ) / step, band = Math.floor(place);
      const bin = Math.min(Math.floor(i / FINE), bins - 2), share = i / FINE - bin;
      for (const [which, height] of [[band, 1 - (place - band)], [band + 1, place - band]]) {
        add(which, bin, height * (1 - share));
        add(which, bin + 1, height * share);
      }
    }
    return rows.map((row, i) => {
      if (!(LOW_HZ * Math.exp(i * step) < rate / 2) || !row.size) return { first: 0, weights: [] };
      const first = Math.min(...row.keys()), last = Math.max(...row.keys()), total = [...row.values()].reduce((a, b) => a + b, 0);
      return { first, weights: Float64Array.from({ length: last - first + 1 }, (_, k) => (row.get(first + k) || 0) / total) };
    });
  }

  // x -> band powers, one Float64Array of frames per band
  function spectrogram(count, rate) {
    const size = Math.max(roundHalfEven(WINDOW_S * rate), 16), n = 2 ** Math.ceil(Math.log2(size)), hop = Math.max(roundHalfEven(FRAME_HOP_S * rate), 1);
    const bands = bandMatrix(count, n / 2 + 1, rate), power = Numbers.transform(n), before = Math.floor((n - size) / 2);
    const window = new Float64Array(n);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += window[before + i] = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size);
    for (let i = 0; i < n; i++) window[i] *= 2 / sum;
    return (x) => {
      const length = Math.max(x.length, n / 2 + 1), frames = 1 + Math.floor(length / hop), out = bands.map(() => new Float64Array(frames));
      const frame = new Float64Array(n), bins = new Float64Array(n / 2 + 1);
      const at = (i) => x[i < 0 ? -i : i >= length ? 2 * (length - 1) - i : i] || 0; // reflected; short audio is filled by zeros
      for (let f = 0; f < frames; f++) {
        for (let i = 0, j = f * hop - n / 2; i < n; i++, j++) frame[i] = window[i] && window[i] * (j >= 0 && j < x.length ? x[j] : at(j));
        power(frame, bins);
        bands.forEach(({ first, weights }, b) => {
          let total = 0;
          for (let k = 0; k < weights.length; k++) total += weights[k] * bins[first + k];
          out[b][f] = total;
        });
      }
      return out;
    };
  }

  const change = (level, lag, sign) => { // mean rise or fall
    let sum = 0;
    for (let i = lag; i < level.length; i++) sum += sign > 0 ? Math.max(level[i] - level[i - lag], 0) : Math.min(level[i] - level[i - lag], 0);
    return level.length > lag ? sum / (level.length - lag) : 0;
  };

  function spectrumOf(power, floor) {
    const levels = power.map((row) => row.map((p) => standard(p, floor)));
    return [...power.map((row) => standard(mean(row), floor)), ...levels.map(mean), ...levels.map(spread)];
  }

  function motionOf(power, floor) {
    const level = [];
    for (let b = 0; b < power.length; b += COARSE) {
      level.push(power[b].map((_, f) => standard(mean(power.slice(b, b + COARSE).map((row) => row[f])), floor)));
    }
    const sorted = level.map((row) => row.slice().sort());
    return [...QUANTILES.flatMap((p) => sorted.map((row) => row[rank(p, row.length)])),
      ...LAGS.flatMap((lag) => [1, -1].flatMap((sign) => level.map((row) => change(row, lag, sign))))];
  }

  // What a compressor changes, on a hop of 2.5 ms
  function dynamicsOf(x, rate) {
    const hop = Math.max(roundHalfEven(HOP_S * rate), 1), count = Math.floor(x.length / hop);
    const level = new Float64Array(count), peak = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      let sum = 0, largest = 0;
      for (let k = i * hop; k < (i + 1) * hop; k++) { sum += x[k] * x[k]; largest = Math.max(largest, Math.abs(x[k])); }
      level[i] = standard((2 * sum) / hop, FLOOR_POWER);
      peak[i] = standard(largest * largest, FLOOR_POWER);
    }
    const crest = Float64Array.from({ length: count >> 4 }, (_, i) => {
      const part = [16 * i, 16 * i + 16], power = level.slice(...part).reduce((sum, v) => sum + Math.pow(10, 2 * v), 0) / 16;
      return Math.max(...peak.slice(...part)) - Math.log10(power) / 2;
    });
    const of = (values, probabilities) => { const s = values.slice().sort(); return probabilities.map((p) => s[rank(p, s.length)]); };
    const moves = BLOCK_LAGS.flatMap((lag) => [change(level, lag, 1), change(level, lag, -1),
      ...of(level.slice(lag).map((v, i) => v - level[i]), [0.05, 0.95])]);
    return [...of(level, LEVELS), ...of(peak, LEVELS), mean(crest), spread(crest), ...of(crest, [0.1, 0.5, 0.9]), ...moves];
  }

  // options: those of the encoder in the model's card -> a function of a mono window
  function averages(options, rate) {
    const floor = Math.pow(10, options.floor_db / 10), bands = spectrogram(options.num_bands, rate);
    return (x) => {
      const power = bands(x);
      return Float64Array.from([...spectrumOf(power, floor), ...motionOf(power, floor), ...dynamicsOf(x, rate)]);
    };
  }

  return { averages };
})(typeof module !== "undefined" && typeof StyleNumbers === "undefined" ? require("./numbers.js") : StyleNumbers);

if (typeof module !== "undefined") module.exports = StyleFeatures;
