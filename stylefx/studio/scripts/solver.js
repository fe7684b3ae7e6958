// Which controls of the equalisers make a wanted curve (stylefx/models/solver/response.py, unroll.py and polish.py).
"use strict";

const StyleSolver = (() => {
  const { network, sigmoid } = StyleNetwork, { withoutMean } = StyleReading;
  const CURVE_DB = 10, RESIDUAL_DB = 5, LOGIT = 3; // sizes of what the networks read
  const STEP = 1e-3, DAMPING = 0.1, LESS = 0.3, MORE = 4, HOLD = 1e-2, FURTHEST = 4;
  const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
  const squares = (x) => x.reduce((sum, v) => sum + v * v, 0);

  const fromControl = (p, c) => (p.scale === "log" ? p.minimum * Math.exp(c * Math.log(p.maximum / p.minimum)) : p.minimum + c * (p.maximum - p.minimum));
  const toControl = (p, v) => clamp(p.scale === "log" ? Math.log(v / p.minimum) / Math.log(p.maximum / p.minimum) : (v - p.minimum) / (p.maximum - p.minimum), 0, 1);

  // Bands of all equalisers of the chain, each with the places of its controls among theirs, and the places in the chain
  function equaliser(effects) {
    const places = [], bands = [];
    let first = 0;
    for (const effect of effects) {
      for (const band of effect.bands || []) {
        const parameters = effect.parameters.map((p, i) => ({ ...p, place: first + i })).filter((p) => p.name.startsWith(`${band.name}_`));
        bands.push({ ...band, parameters, at: parameters.map((p) => places.push(p.place) - 1) });
      }
      first += effect.parameters.length;
    }
    return { places, bands, count: first };
  }

  // Gain in dB of one band at the points
  function bandResponse(band, controls, pointsHz, rate) {
    const settings = Object.fromEntries(band.parameters.map((p, i) => [p.name, fromControl(p, controls[band.at[i]])]));
    const list = StyleDsp.sections([band], settings, rate);
    return pointsHz.map((f) => StyleDsp.responseDb(list, f, rate));
  }

  const total = (rows, points) => rows.reduce((sum, row) => sum.map((v, i) => v + row[i]), new Float64Array(points));

  // Gain in dB of all bands at the points
  const response = ({ bands }, controls, pointsHz, rate) =>
    total(bands.map((band) => bandResponse(band, controls, pointsHz, rate)), pointsHz.length);

  // Gaussian elimination of a positive definite matrix (array of rows) with its right side
  function solved(matrix, right) {
    const rows = matrix.map((row, i) => Float64Array.from([...row, right[i]])), n = rows.length;
    for (let k = 0; k < n; k++) {
      for (let i = k + 1; i < n; i++) {
        const factor = rows[i][k] / rows[k][k];
        if (factor) for (let j = k; j <= n; j++) rows[i][j] -= factor * rows[k][j];
      }
    }
    const out = new Float64Array(n);
    for (let i = n - 1; i >= 0; i--) {
      let sum = rows[i][n];
      for (let j = i + 1; j < n; j++) sum -= rows[i][j] * out[j];
      out[i] = sum / rows[i][i];
    }
    return out;
  }

  // Levenberg and Marquardt on the exact response; never further from the curve than before
  function polished({ bands }, pointsHz, rate, curve, logits, steps) {
    const rowsAt = (at) => bands.map((band) => bandResponse(band, at.map(sigmoid), pointsHz, rate));
    const missingOf = (rows) => { const made = withoutMean(total(rows, curve.length)); return curve.map((v, i) => v - made[i]); };
    let here = logits.map((v) => clamp(v, -FURTHEST, FURTHEST)), rows = rowsAt(here), missing = missingOf(rows), damping = DAMPING;
    for (let step = 0; step < steps; step++) {
      const slopes = Array.from(here, (_, c) => { // only the control's own band changes
        const moved = here.slice(), b = bands.findIndex((band) => band.at.includes(c));
        moved[c] += STEP;
        const made = bandResponse(bands[b], moved.map(sigmoid), pointsHz, rate);
        return withoutMean(made.map((v, i) => (v - rows[b][i]) / STEP));
      });
      const right = slopes.map((s) => s.reduce((sum, v, i) => sum + v * missing[i], 0));
      const matrix = slopes.map((s, i) => slopes.map((t, j) => {
        let product = 0;
        for (let k = 0; k < s.length; k++) product += s[k] * t[k];
        return product * (i === j ? 1 + damping : 1) + (i === j ? HOLD : 0);
      }));
      const move = solved(matrix, right), there = here.map((v, i) => clamp(v + move[i], -FURTHEST, FURTHEST));
      const after = rowsAt(there), left = missingOf(after);
      if (squares(left) < squares(missing)) [here, rows, missing, damping] = [there, after, left, damping * LESS];
      else damping *= MORE;
    }
    return here;
  }

  // curve in dB -> logits of the equaliser's controls; start: those of the neutral settings
  function solver(weights, eq, pointsHz, rate, start, steps, polish) {
    const guess = network(weights, "controller.solver.guess", [0, 2, 4], true), update = network(weights, "controller.solver.update", [0, 2, 4], true);
    return (curve) => {
      const wanted = withoutMean(curve);
      let logits = guess(wanted.map((v) => v / CURVE_DB)).map((v, i) => v + start[i]);
      for (let i = 0; i < steps; i++) {
        const made = withoutMean(response(eq, logits.map(sigmoid), pointsHz, rate));
        const more = update(Float64Array.from([...wanted.map((v, k) => (v - made[k]) / RESIDUAL_DB), ...wanted.map((v) => v / CURVE_DB),
          ...logits.map((v) => v / LOGIT)]));
        logits = logits.map((v, k) => v + more[k]);
      }
      return polish ? polished(eq, pointsHz, rate, wanted, logits, polish) : logits;
    };
  }

  return { equaliser, response, solver, fromControl, toControl };
})();
