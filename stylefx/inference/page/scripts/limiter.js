// The look-ahead limiter, the one effect that is late: used by dsp.js, in the page and in its AudioWorklet.
"use strict";

const StyleLimiter = (() => {
  const LEVEL_FLOOR = Math.pow(10, -96 / 20);

  // Look-ahead limiter: peaks held over the look-ahead, released, and averaged twice, so that the gain has no corner and no
  // sample passes the ceiling; the audio waits for N samples (palette/limiter.py says why it is exact)
  function limiter({ config }, channels, sampleRate) {
    const latency = latencyOf(config, sampleRate), levels = heldLevels(latency), gains = follower(latency, sampleRate);
    const waiting = Array.from({ length: channels }, () => new Float64Array(latency));
    let place = 0;
    return {
      latency,
      set: gains.set,
      process(block) {
        const n = block[0].length, factors = gains.of(levels(block)), { ceiling } = gains;
        for (let i = 0; i < n; i++) {
          for (let c = 0; c < block.length; c++) {
            const out = waiting[c][place] * factors[i];
            waiting[c][place] = block[c][i];
            block[c][i] = Math.min(Math.max(out, -ceiling), ceiling);
          }
          place = place + 1 < latency ? place + 1 : 0;
        }
        return gains.last;
      },
    };
  }

  const latencyOf = (config, sampleRate) => Math.max(1, roundHalfEven(config.lookahead_ms * 1e-3 * sampleRate));

  // Blocks -> their peaks held over the look-ahead, in dB; what no setting changes
  function heldLevels(latency) {
    const held = slidingPeak(latency + 1);
    let was = -1, level = 0;
    return (block) => {
      const out = new Float64Array(block[0].length);
      for (let i = 0; i < out.length; i++) {
        let peak = 0;
        for (let c = 0; c < block.length; c++) peak = Math.max(peak, Math.abs(block[c][i]));
        const now = held(peak);
        if (now !== was) { was = now; level = 20 * Math.log10(Math.max(now, LEVEL_FLOOR)); }
        out[i] = level;
      }
      return out;
    };
  }

  // Held levels in dB -> factors: released, averaged twice
  function follower(latency, sampleRate) {
    const boxes = [Math.floor(latency / 2) + 1, latency - Math.floor(latency / 2) + 1].map(movingSum);
    const size = boxes[0].length * boxes[1].length;
    let s = null, release = 0, y = 0, last = 0, factor = 1;
    const self = {
      ceiling: 1,
      set(settings) {
        s = settings;
        release = Math.exp(-Math.log(9) / (sampleRate * s.release_ms * 1e-3));
        self.ceiling = Math.pow(10, s.ceiling_db / 20);
        factor = Math.pow(10, (s.gain_db - last) / 20);
      },
      of(levels) {
        const out = new Float64Array(levels.length);
        for (let i = 0; i < levels.length; i++) {
          const r = Math.max(0, levels[i] + s.gain_db - s.ceiling_db);
          y = Math.max(r, release * y + (1 - release) * r);
          const now = boxes[1](boxes[0](y)) / size;
          if (now !== last) { last = now; factor = Math.pow(10, (s.gain_db - last) / 20); }
          out[i] = factor;
        }
        return out;
      },
      get last() { return last; },
    };
    return self;
  }

  // Whole channels, limited with one set of settings after another: what they share is computed once
  function offline({ config }, channels, sampleRate) {
    const latency = latencyOf(config, sampleRate), length = channels[0].length, held = heldLevels(latency);
    const levels = held(channels), tail = held([new Float32Array(latency)]); // silence comes after
    return (settings) => {
      const gains = follower(latency, sampleRate);
      gains.set(settings);
      const first = gains.of(levels), rest = gains.of(tail), { ceiling } = gains;
      return channels.map((x) => {
        const out = new Float32Array(length);
        for (let i = 0; i < length; i++) {
          const at = i + latency, factor = at < length ? first[at] : rest[at - length];
          out[i] = Math.min(Math.max(x[i] * factor, -ceiling), ceiling);
        }
        return out;
      });
    };
  }

  const roundHalfEven = (v) => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v)); // as Python rounds

  // Largest of the last ``window`` values: a queue of falling values
  function slidingPeak(window) {
    const values = new Float64Array(window), stamps = new Float64Array(window);
    let first = 0, count = 0, now = 0;
    return (value) => {
      if (count && stamps[first] <= now - window) { first = (first + 1) % window; count--; }
      while (count && values[(first + count - 1) % window] <= value) count--;
      const place = (first + count++) % window;
      values[place] = value;
      stamps[place] = now++;
      return values[first];
    };
  }

  // Sum of the last ``length`` values, in steps of 2^-24 so that it cannot drift
  function movingSum(length) {
    const ring = new Float64Array(length);
    let sum = 0, place = 0;
    const add = (value) => {
      const exact = Math.round(value * 16777216) / 16777216;
      sum += exact - ring[place];
      ring[place] = exact;
      place = place + 1 < length ? place + 1 : 0;
      return sum;
    };
    Object.defineProperty(add, "length", { value: length });
    return add;
  }

  limiter.offline = offline;
  return limiter;
})();

if (typeof module !== "undefined") module.exports = StyleLimiter;
