// Small line charts as SVG: axes, grid, lines with a class each; colours come from the style sheet. A chart is drawn at the
// size that it has on the screen, so that its text keeps its size on a phone.
"use strict";

const StyleCharts = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const LEFT = 40, RIGHT = 12, TOP = 12, BOTTOM = 38, NARROWEST_TICK = 34;

  function element(name, attributes, parent, text) {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  }

  const sizeOf = (svg) => ({ width: Math.max(svg.clientWidth, 240), height: Math.max(svg.clientHeight, 24) });

  // The layer of a class inside an SVG, emptied or left as it is: other layers (handles, a playhead) survive a redraw
  function layer(svg, name, empty) {
    const found = svg.querySelector(`g.${name}`) || element("g", { class: name }, svg);
    if (empty) found.replaceChildren();
    return found;
  }

  function scale(axis, from, to) {
    const map = axis.log ? Math.log : (v) => v, low = map(axis.min), high = map(axis.max);
    const at = (v) => from + ((map(Math.min(Math.max(v, axis.min), axis.max)) - low) / (high - low)) * (to - from);
    at.invert = (p) => {
      const v = low + ((p - from) / (to - from)) * (high - low);
      return Math.min(Math.max(axis.log ? Math.exp(v) : v, axis.min), axis.max);
    };
    return at;
  }

  function spaced(ticks, at) {
    let last = -Infinity;
    return ticks.filter((tick) => at(tick) - last >= NARROWEST_TICK && ((last = at(tick)), true));
  }

  // lines: [{class, points: [[x, y], ...]}]; x and y: {min, max, ticks: [...], log, label, format}. Returns the two scales.
  function draw(svg, { x, y, lines, describe }) {
    const { width, height } = sizeOf(svg), plot = layer(svg, "plot", true);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (describe) plot.setAttribute("aria-label", describe);
    plot.setAttribute("role", "img");
    const px = scale(x, LEFT, width - RIGHT), py = scale(y, height - BOTTOM, TOP), floor = height - BOTTOM;
    for (const tick of spaced(x.ticks, px)) {
      element("line", { x1: px(tick), x2: px(tick), y1: TOP, y2: floor, class: "grid" }, plot);
      element("text", { x: px(tick), y: floor + 15, class: "tick", "text-anchor": "middle" }, plot, x.format ? x.format(tick) : tick);
    }
    for (const tick of y.ticks) {
      element("line", { x1: LEFT, x2: width - RIGHT, y1: py(tick), y2: py(tick), class: tick === 0 ? "grid zero" : "grid" }, plot);
      element("text", { x: LEFT - 6, y: py(tick) + 4, class: "tick", "text-anchor": "end" }, plot, tick);
    }
    element("text", { x: width - RIGHT, y: height - 6, class: "label", "text-anchor": "end" }, plot, x.label);
    element("text", { x: 4, y: height - 6, class: "label" }, plot, y.label);
    for (const line of lines) {
      const runs = [[]];
      for (const [a, b] of line.points) {
        if (Number.isFinite(b)) runs[runs.length - 1].push(`${px(a).toFixed(1)} ${py(b).toFixed(1)}`);
        else if (runs[runs.length - 1].length) runs.push([]);
      }
      const path = runs.filter((run) => run.length).map((run) => "M" + run.join("L")).join("");
      if (path) element("path", { d: path, class: `line ${line.class}` }, plot);
    }
    return { px, py };
  }

  const steps = (low, high, step) => Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  const around = (low, high, step) => [Math.floor(low / step) * step, Math.ceil(high / step) * step];
  const hertz = (f) => (f >= 1000 ? f / 1000 + "k" : f);
  const frequencyAxis = (sampleRate) => {
    const ticks = [30, 100, 300, 1000, 3000, 10000, 20000].filter((f) => f <= sampleRate / 2);
    return { min: 20, max: Math.min(20000, sampleRate / 2), log: true, ticks, format: hertz, label: "Hz" };
  };
  const frequencies = (sampleRate, count = 160) => {
    const high = Math.min(20000, 0.999 * sampleRate / 2);
    return Array.from({ length: count }, (_, i) => 20 * Math.pow(high / 20, i / (count - 1)));
  };

  return { draw, element, layer, sizeOf, steps, around, frequencyAxis, frequencies };
})();
