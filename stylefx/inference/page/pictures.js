// The pictures of the page and its table of levels, drawn from ``view``: {data, state, rate, freqs, levels, spectra, player,
// predictedTrace, changed()}.
"use strict";

function stylePictures(view) {
  const { data, state, rate, freqs, levels, spectra } = view;
  const $ = (id) => document.getElementById(id);
  const decibels = (v) => (Number.isFinite(v) ? v.toFixed(1) : "–");

  const decibelAxis = (low, high, step, label) => {
    const [min, max] = StyleCharts.around(low, high, step);
    return { min, max, ticks: StyleCharts.steps(min, max, step), label };
  };
  const equaliser = (effects) => effects.filter((e) => e.effect === "parametric_eq" && !e.bypass);
  const compressors = (effects) => effects.filter((e) => e.effect === "compressor" && !e.bypass);

  function responses(effects) {
    const list = equaliser(effects).flatMap((e) => StyleDsp.sections(e.bands, e.settings, rate));
    return freqs.map((f) => [f, StyleDsp.responseDb(list, f, rate)]);
  }

  function transfers(effects) {
    return StyleCharts.steps(-80, 0, 0.5).map((level) => {
      let out = level;
      for (const e of compressors(effects)) out += e.settings.makeup_gain_db - StyleDsp.reductionDb(out, e.settings);
      return [level, out];
    });
  }

  function draw() {
    const x = StyleCharts.frequencyAxis(rate);
    const lines = ["input", "reference", "output"].map((n) => { // as loud as they are heard
      const shift = 20 * Math.log10(view.player.gains[n]);
      return { class: n, points: freqs.map((f, i) => [f, spectra[n][i] + shift]) };
    });
    const shown = lines.flatMap((l) => l.points.map((p) => p[1])).filter(Number.isFinite), top = Math.max(...shown);
    StyleCharts.draw($("spectra"), { x, y: decibelAxis(Math.max(Math.min(...shown), top - 80), top, 10, "dB"), lines,
      describe: "Average spectra of input, output and reference in dB over frequency" });

    const now = responses(state.effects), then = responses(data.effects);
    const extent = Math.max(6, ...[...now, ...then].map((p) => Math.abs(p[1])));
    StyleCharts.draw($("eq"), { x, y: decibelAxis(-extent, extent, extent > 18 ? 12 : 6, "dB"),
      lines: [{ class: "predicted", points: then }, { class: "output", points: now }],
      describe: "Gain of the equaliser in dB over frequency" });

    const level = { min: -80, max: 0, ticks: StyleCharts.steps(-80, 0, 20), label: "input level dB" };
    const curves = [transfers(data.effects), transfers(state.effects)], highest = Math.max(0, ...curves.flat().map((p) => p[1]));
    StyleCharts.draw($("transfer"), { x: level, y: decibelAxis(-80, highest, 20, "output level dB"),
      lines: [{ class: "predicted", points: curves[0] }, { class: "output", points: curves[1] }],
      describe: "Output level of the compressor over input level, in dB" });
    drawTrace();
  }

  function drawTrace() {
    const time = { min: 0, max: view.player.duration, label: "s", ticks: StyleCharts.steps(0, Math.floor(view.player.duration), view.player.duration > 12 ? 5 : 1) };
    const points = (list) => list.map((v, i) => [i * state.stepS, -v]);
    const deepest = Math.max(6, ...state.reduction, ...view.predictedTrace);
    StyleCharts.draw($("trace"), { x: time, y: decibelAxis(-deepest, 0, deepest > 18 ? 12 : 3, "dB"),
      lines: [{ class: "predicted", points: points(view.predictedTrace) }, { class: "output", points: points(state.reduction) }],
      describe: "Gain reduction of the compressor in dB over time" });
  }

  function drawLevels() {
    $("levels").tBodies[0].replaceChildren(...["input", "output", "reference"].map((name) => {
      const row = document.createElement("tr"), whole = data.whole[name] || {};
      const stale = name === "output" && view.changed() ? {} : whole;
      const cells = [name, levels[name].lufs, levels[name].peak, stale.lufs, stale.true_peak_dbtp];
      cells.forEach((value, i) => {
        const cell = document.createElement(i ? "td" : "th");
        cell.className = i ? "number" : "";
        cell.textContent = i ? decibels(value ?? NaN) : value;
        row.append(cell);
      });
      return row;
    }));
  }

  function drawKeys() {
    for (const place of document.querySelectorAll("[data-keys]")) {
      place.innerHTML = place.dataset.keys.split(" ").map((name) => `<span class="key"><svg viewBox="0 0 26 8" aria-hidden="true">` +
        `<line class="line ${name}" x1="0" x2="26" y1="4" y2="4"/></svg>${name === "predicted" ? "prediction" : name}</span>`).join("");
    }
  }

  return { draw, drawTrace, drawLevels, drawKeys };
}
