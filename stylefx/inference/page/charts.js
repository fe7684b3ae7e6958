// Small line charts as SVG: axes, grid, lines with a class each; colours come from the style sheet.
"use strict";

const StyleCharts = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const WIDTH = 560, HEIGHT = 230, LEFT = 44, RIGHT = 10, TOP = 10, BOTTOM = 34;

  function element(name, attributes, parent, text) {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  }

  function scale(axis, from, to) {
    const map = axis.log ? Math.log : (v) => v, low = map(axis.min), high = map(axis.max);
    return (v) => from + ((map(Math.min(Math.max(v, axis.min), axis.max)) - low) / (high - low)) * (to - from);
  }

  // lines: [{class, points: [[x, y], ...]}]; x and y: {min, max, ticks: [...], log, label, format}
  function draw(svg, { x, y, lines, describe }) {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", describe);
    const px = scale(x, LEFT, WIDTH - RIGHT), py = scale(y, HEIGHT - BOTTOM, TOP);
    for (const tick of x.ticks) {
      element("line", { x1: px(tick), x2: px(tick), y1: TOP, y2: HEIGHT - BOTTOM, class: "grid" }, svg);
      const label = x.format ? x.format(tick) : tick;
      element("text", { x: px(tick), y: HEIGHT - BOTTOM + 14, class: "tick", "text-anchor": "middle" }, svg, label);
    }
    for (const tick of y.ticks) {
      element("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: py(tick), y2: py(tick), class: tick === 0 ? "grid zero" : "grid" }, svg);
      element("text", { x: LEFT - 6, y: py(tick) + 4, class: "tick", "text-anchor": "end" }, svg, tick);
    }
    element("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, class: "label", "text-anchor": "end" }, svg, x.label);
    element("text", { x: 4, y: HEIGHT - 4, class: "label" }, svg, y.label);
    for (const line of lines) {
      const runs = [[]];
      for (const [a, b] of line.points) {
        if (Number.isFinite(b)) runs[runs.length - 1].push(`${px(a).toFixed(1)} ${py(b).toFixed(1)}`);
        else if (runs[runs.length - 1].length) runs.push([]);
      }
      const path = runs.filter((run) => run.length).map((run) => "M" + run.join("L")).join("");
      if (path) element("path", { d: path, class: `line ${line.class}` }, svg);
    }
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

  return { draw, steps, around, frequencyAxis, frequencies };
})();
