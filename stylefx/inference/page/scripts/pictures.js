// The pictures of the page and its table of levels, drawn from ``view``: {data, edits, rate, freqs, levels, spectra, player,
// equaliser, reduction, stepS, predictedTrace}.
"use strict";

function stylePictures(view) {
  const { data, rate, freqs, levels, spectra } = view;
  const $ = (id) => document.getElementById(id);
  const decibels = (v) => (Number.isFinite(v) ? v.toFixed(1) : "–");

  const decibelAxis = (low, high, step, label) => {
    const [min, max] = StyleCharts.around(low, high, step);
    return { min, max, ticks: StyleCharts.steps(min, max, step), label };
  };
  const compressors = (effects) => effects.filter((e) => e.effect === "compressor" && !e.bypass);

  function transfers(effects) {
    return StyleCharts.steps(-80, 0, 0.5).map((level) => {
      let out = level;
      for (const e of compressors(effects)) out += e.settings.makeup_gain_db - StyleDsp.reductionDb(out, e.settings);
      return [level, out];
    });
  }

  function drawSpectra() {
    const lines = ["input", "reference", "output"].map((n) => { // as loud as they are heard
      const shift = 20 * Math.log10(view.player.gains[n]);
      return { class: n, points: freqs.map((f, i) => [f, spectra[n][i] + shift]) };
    });
    const shown = lines.flatMap((l) => l.points.map((p) => p[1])).filter(Number.isFinite), top = Math.max(...shown);
    StyleCharts.draw($("spectra"), { x: StyleCharts.frequencyAxis(rate), y: decibelAxis(Math.max(Math.min(...shown), top - 80), top, 20, "dB"),
      lines, describe: "Average spectra of input, output and reference in dB over frequency" });
  }

  function drawTransfer() {
    const level = { min: -80, max: 0, ticks: StyleCharts.steps(-80, 0, 20), label: "input level dB" };
    const curves = [transfers(data.effects), transfers(view.edits.heard().effects)];
    const highest = Math.max(0, ...curves.flat().map((p) => p[1]));
    StyleCharts.draw($("transfer"), { x: level, y: decibelAxis(-80, highest, 20, "output level dB"),
      lines: [{ class: "predicted", points: curves[0] }, { class: "output", points: curves[1] }],
      describe: "Output level of the compressor over input level, in dB" });
  }

  function drawTrace() {
    const duration = view.player.duration, ticks = StyleCharts.steps(0, Math.floor(duration), duration > 12 ? 5 : 1);
    const points = (list) => list.map((v, i) => [i * view.stepS, -v]);
    const deepest = Math.max(6, ...view.reduction, ...view.predictedTrace);
    StyleCharts.draw($("trace"), { x: { min: 0, max: duration, label: "s", ticks },
      y: decibelAxis(-deepest, 0, deepest > 18 ? 12 : deepest > 9 ? 6 : 3, "dB"),
      lines: [{ class: "predicted", points: points(view.predictedTrace) }, { class: "output", points: points(view.reduction) }],
      describe: "Gain reduction of compressor and limiter in dB over time" });
  }

  function draw() {
    drawSpectra();
    view.equaliser.draw();
    drawTransfer();
    drawTrace();
  }

  function drawLevels() {
    $("levels").tBodies[0].replaceChildren(...["input", "output", "reference"].map((name) => {
      const row = document.createElement("tr"), whole = data.whole[name] || {};
      const stale = name === "output" && view.edits.changed() ? {} : whole;
      const cells = [name, levels[name].lufs, levels[name].peak, stale.lufs, stale.true_peak_dbtp];
      cells.forEach((value, i) => {
        const cell = document.createElement(i ? "td" : "th");
        cell.className = i ? "number" : "";
        if (i === 2 && value > 0) cell.classList.add("over");
        cell.textContent = i ? decibels(value ?? NaN) : value;
        row.append(cell);
      });
      return row;
    }));
  }

  function drawKeys() {
    for (const place of document.querySelectorAll("[data-keys]")) {
      for (const name of place.dataset.keys.split(" ")) {
        const key = document.createElement("span"), svg = StyleCharts.element("svg", { viewBox: "0 0 26 8", "aria-hidden": true }, key);
        StyleCharts.element("line", { class: `line ${name}`, x1: 0, x2: 26, y1: 4, y2: 4 }, svg);
        key.className = "key";
        key.append(name === "predicted" ? "prediction" : name);
        place.append(key);
      }
    }
  }

  return { draw, drawTrace, drawLevels, drawKeys };
}
