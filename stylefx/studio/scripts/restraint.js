// Boost where a recording has nothing to boost: bounded, and said (stylefx/inference/hearing/restraint.py).
"use strict";

const StyleRestraint = (() => {
  const EMPTY_BELOW_DB = -65, MOST_BOOST_DB = 6, LOWEST_HZ = 40, STEPS = 60;

  // Centres in Hz and levels in dB relative to the loudest third of an octave
  function thirdOctaves(heard, modelRate) {
    const length = heard.windows[0].audio.length, n = 2 ** Math.ceil(Math.log2(length)), transform = StyleNumbers.transform(n);
    const mean = new Float64Array(n / 2 + 1), padded = new Float64Array(n);
    for (const { audio } of heard.windows) {
      for (let i = 0; i < length; i++) padded[i] = audio[i] * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (length - 1)));
      transform(padded).forEach((p, k) => { mean[k] += p; });
    }
    const highest = 0.45 * Math.min(modelRate, heard.rate), count = Math.trunc(3 * Math.log2(highest / LOWEST_HZ)) + 1;
    const centres = Array.from({ length: count }, (_, i) => LOWEST_HZ * Math.pow(2, i / 3)), bin = (hz) => Math.ceil((hz * n) / modelRate);
    const sums = centres.map((f) => {
      let sum = 0;
      const from = bin(f * Math.pow(2, -1 / 6)), to = Math.max(from + 1, bin(f * Math.pow(2, 1 / 6)));
      for (let k = from; k < Math.min(to, mean.length); k++) sum += mean[k];
      return sum;
    });
    const most = Math.max(...sums, 1e-300);
    return { centres, levels: sums.map((p) => 10 * Math.log10(Math.max(p / most, 1e-20))) };
  }

  function bounded(effect, values, centres, empty, rate) {
    const settings = { ...values }, where = {}, gains = effect.parameters.map((p) => p.name).filter((n) => n.endsWith("gain_db"));
    const response = (s, hz) => { const list = StyleDsp.sections(effect.bands, s, rate); return hz.map((f) => StyleDsp.responseDb(list, f, rate)); };
    for (let step = 0; step < STEPS; step++) {
      const made = response(settings, centres), rest = StyleNumbers.mean(made.filter((_, i) => !empty[i]));
      const boost = made.map((v, i) => (empty[i] ? v - rest : -Infinity)), most = Math.max(...boost), at = boost.indexOf(most);
      const share = (name) => made[at] - response({ ...settings, [name]: 0 }, [centres[at]])[0];
      const raised = gains.filter((n) => settings[n] > 0).map((n) => [n, share(n)]).sort((a, b) => b[1] - a[1]);
      const excess = most - MOST_BOOST_DB;
      if (excess <= 0.05 || !raised.length || raised[0][1] <= 0.05) break;
      const [name, part] = raised[0];
      settings[name] = Math.max(0, settings[name] * (1 - Math.min(1, excess / part)));
      where[name] = at;
    }
    return { settings, where };
  }

  // settings per effect -> {settings, limited: [{effect, parameter, was_db, used_db, empty_hz, level_db}]}
  function bound(effects, settings, heard, modelRate) {
    const { centres, levels } = thirdOctaves(heard, modelRate), empty = levels.map((v) => v < EMPTY_BELOW_DB), limited = [];
    if (!empty.some(Boolean) || empty.every(Boolean)) return { settings, limited };
    const out = settings.map((values, i) => {
      if (!effects[i].bands) return values;
      const found = bounded(effects[i], values, centres, empty, modelRate);
      for (const [name, at] of Object.entries(found.where)) {
        limited.push({ effect: effects[i].effect, parameter: name, was_db: values[name], used_db: found.settings[name],
          empty_hz: centres[at], level_db: levels[at] });
      }
      return found.settings;
    });
    return { settings: out, limited };
  }

  const line = (e) => {
    const signed = (v) => (v < 0 ? "" : "+") + v.toFixed(1);
    return `limited because the input has no energy around ${e.empty_hz.toFixed(0)} Hz (${e.level_db.toFixed(0)} dB): `
      + `${e.parameter.replace(/_db$/, "").replaceAll("_", " ")} ${signed(e.was_db)} -> ${signed(e.used_db)} dB`;
  };

  return { bound, line };
})();
