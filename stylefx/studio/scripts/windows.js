// The windows that a model looks at (stylefx/inference/hearing/windows.py): active stretches at the model's rate and level.
"use strict";

const StyleWindows = (() => {
  const MIN_SECONDS = 0.5, CANDIDATES = 3, ACTIVE_POWER = 1e-5, ACTIVE_BELOW = 1e-3, OFFSET = 0.05;
  const SILENT_PEAK = Math.pow(10, -90 / 20), DEAD_BELOW = 1e-6, CANCELLED_BELOW = 0.1;
  const { roundHalfEven, median } = StyleNumbers;

  function statistics(x) {
    let sum = 0, squares = 0;
    for (const v of x) { sum += v; squares += v * v; }
    const mean = sum / x.length;
    return { mean, power: squares / x.length, variance: Math.max(0, squares / x.length - mean * mean) };
  }

  function withoutOffset(block) {
    const each = block.map(statistics), offset = Math.max(...each.map((s) => Math.abs(s.mean)));
    const all = each.reduce((sum, s) => sum + s.mean, 0) / each.length;
    const variance = each.reduce((sum, s) => sum + s.power, 0) / each.length - all * all;
    if (offset <= OFFSET * Math.sqrt(variance + offset * offset)) return [block, 0];
    return [block.map((x, c) => x.map((v) => v - each[c].mean)), offset];
  }

  function mixed(block, signs) {
    const variances = block.map((x) => statistics(x).variance), loudest = Math.max(...variances);
    const active = variances.map((v) => (loudest > 0 ? v > DEAD_BELOW * loudest : true)), count = active.filter(Boolean).length;
    const out = new Float32Array(block[0].length);
    for (let i = 0; i < out.length; i++) {
      let sum = 0;
      for (let c = 0; c < block.length; c++) if (active[c]) sum += signs[c] * block[c][i];
      out[i] = sum / count;
    }
    return { mono: out, active: count, power: variances.reduce((a, b) => a + b, 0) / block.length };
  }

  // What a listener hears of one or two channels, and whether their sum would cancel
  function heardMono(block) {
    const { mono, active, power } = mixed(block, [1, 1]);
    if (block.length !== 2 || active !== 2 || power === 0 || statistics(mono).variance >= CANCELLED_BELOW * power) return [mono, false];
    return [mixed(block, [1, -1]).mono, true];
  }

  const peakOf = (block) => StyleMeters.peak(block);

  // The gain that brings the loudest channel to the level of the model's card
  function levelGain(level, block, rate) {
    if (level === "none") return 0;
    const now = "peak_dbfs" in level ? 20 * Math.log10(peakOf(block)) : Math.max(...block.map((x) => StyleMeters.lufs([x], rate)));
    return Number.isFinite(now) ? (level.peak_dbfs ?? level.lufs) - now : 0;
  }

  function starts(frames, span, most) {
    const room = frames - span;
    if (room <= 0) return [0];
    const count = room >= Math.floor(span / 4) ? Math.max(2, Math.min(most, Math.floor(frames / span))) : 1;
    if (count === 1) return [Math.floor(room / 2)];
    return [...new Set(Array.from({ length: count }, (_, i) => roundHalfEven((i * room) / (count - 1))))];
  }

  function choose(found, most) {
    const audible = found.filter((f) => f.peak > SILENT_PEAK), loudest = Math.max(...audible.map((f) => f.power));
    const active = audible.filter((f) => f.power >= Math.min(ACTIVE_POWER, loudest * ACTIVE_BELOW));
    if (active.length <= most) return active;
    return Array.from({ length: most }, (_, i) => active[roundHalfEven((i * (active.length - 1)) / (most - 1))]);
  }

  function examine(channels, start, span, rate, level) {
    const [block, offset] = withoutOffset(channels.map((x) => x.subarray(start, start + span))), [mono, cancels] = heardMono(block);
    const power = block.reduce((sum, x) => sum + statistics(x).power, 0) / block.length;
    return { start, length: block[0].length, mono, cancels, offset, power, peak: peakOf(block), gainDb: levelGain(level, block, rate) };
  }

  // {name, rate, channels} -> what was heard of it; throws a sentence for what cannot be heard
  function analyse({ name, rate, channels }, model) {
    if (channels.length > 2) throw new Error(`${name} has ${channels.length} channels; mono and stereo can be heard, mix it down first`);
    const frames = channels[0].length, span = Math.ceil((model.windowSamples * rate) / model.sampleRate);
    if (!frames) throw new Error(`${name} holds no audio; give a file with audio`);
    if (Math.min(frames, span) < MIN_SECONDS * rate) {
      throw new Error(`${name} is ${(frames / rate).toFixed(2)} s long; at least ${MIN_SECONDS} s are needed to hear a style`);
    }
    const found = starts(frames, span, model.windows * CANDIDATES).map((start) => examine(channels, start, span, rate, model.level));
    const longest = Math.max(...found.map((f) => f.length)), chosen = choose(found.filter((f) => f.length === longest), model.windows);
    if (!chosen.length) throw new Error(`${name} is silent; give a recording with sound`);
    const windows = chosen.map((f) => {
      const audio = StyleResample.resample(f.mono, rate, model.sampleRate).subarray(0, model.windowSamples);
      const factor = Math.pow(10, levelGain(model.level, [audio], model.sampleRate) / 20);
      return { audio: audio.map((v) => v * factor), startS: f.start / rate };
    });
    return {
      name, rate, channels: channels.length, seconds: frames / rate, windows, gainDb: median(chosen.map((f) => f.gainDb)),
      offset: median(found.map((f) => f.offset)), cancels: found.filter((f) => f.cancels).length > found.length / 2,
    };
  }

  function warnings({ name, offset, cancels }) {
    const out = cancels ? [`${name}: its channels cancel when summed (is one inverted?), so it was heard by their power`] : [];
    if (offset) out.push(`${name}: its constant offset of ${(20 * Math.log10(offset)).toFixed(0)} dBFS was not heard`);
    return out;
  }

  return { analyse, warnings };
})();
