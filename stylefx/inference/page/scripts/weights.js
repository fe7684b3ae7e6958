// Weights of the references, for tone and dynamics apart: sliders that put the prediction at these weights into the settings.
"use strict";

// data.weights: {names, steps, start: {tone, dynamics}, dynamics: [per effect], points: [{parts, settings: [per effect]}]}
const StyleWeights = (() => {
  // Corners of the lattice around a mix of references and their shares (Freudenthal's triangulation of the running sums)
  function corners(weights, steps) {
    const sum = weights.reduce((a, b) => a + b, 0), runs = [];
    weights.reduce((at, w) => { runs.push(at + (w * steps) / sum); return at + (w * steps) / sum; }, 0);
    runs.pop(); // the last is always ``steps``
    const low = runs.map((v) => Math.floor(v + 1e-9)), rest = runs.map((v, i) => Math.max(0, v - low[i]));
    const order = rest.map((_, i) => i).sort((a, b) => rest[b] - rest[a] || b - a), out = [];
    const parts = (at) => [...at, steps].map((v, i) => v - (i ? at[i - 1] : 0));
    let at = [...low], before = 1;
    for (const i of order) {
      if (before - rest[i] > 1e-9) out.push({ parts: parts(at), share: before - rest[i] });
      at = at.map((v, k) => (k === i ? v + 1 : v));
      before = rest[i];
    }
    if (before > 1e-9) out.push({ parts: parts(at), share: before });
    return out;
  }

  return { corners };
})();

// view: {data, edits}; rows come from the panel
function styleWeights(view, panel) {
  const { data, edits } = view, grid = data.weights, known = new Map((grid?.points || []).map((p) => [p.parts.join(), p.settings]));
  if (!grid) return;

  // The prediction of one effect at these weights, between the corners on the axes of its parameters
  function predicted(i, weights) {
    const around = StyleWeights.corners(weights, grid.steps).map(({ parts, share }) => [known.get(parts.join())[i], share]);
    return Object.fromEntries(data.effects[i].parameters.map((p) => [p.name,
      around.length === 1 ? around[0][0][p.name] : edits.fromControl(p, around.reduce((sum, [s, share]) => sum + share * edits.toControl(p, s[p.name]), 0))]));
  }

  function put(state, part, reference, value) {
    const weights = state.weights[part].map((w, i) => (i === reference ? value : w));
    if (weights.every((w) => w === 0)) weights[reference] = 0.01; // somebody has to be heard
    state.weights[part] = weights;
    grid.dynamics.forEach((dynamic, i) => { if (dynamic === (part === "dynamics")) state.effects[i].settings = predicted(i, weights); });
  }

  const SHARE = { name: "weight", unit: "", minimum: 0, maximum: 1, scale: "linear" };
  for (const part of ["tone", "dynamics"]) {
    const column = Object.assign(document.createElement("div"), { className: "effect" });
    column.append(Object.assign(document.createElement("h3"), { textContent: part }));
    grid.names.forEach((name, reference) => column.append(panel.row(SHARE, `${part} of ${name}`, () => edits.state.weights[part][reference],
      (state, value) => put(state, part, reference, value), grid.start[part][reference])));
    document.getElementById("weight-sliders").append(column);
  }
  document.getElementById("weights").hidden = false;
  panel.place();
}
