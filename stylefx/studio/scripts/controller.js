// The controller ``solver`` (stylefx/models/solver/controller.py): two rows of averages in, controls of the chain out.
"use strict";

const StyleController = (() => {
  const CORRECTION_DB = 10;
  const { linear, network, sigmoid } = StyleNetwork, { withoutMean } = StyleReading;

  // Curve and its scale in dB, from features
  function curveHead(weights, name) {
    const body = network(weights, `${name}.body`, [0, 3], false);
    const [guess, gate, correction, logScale] = ["guess", "gate", "correction", "log_scale"].map((part) => linear(weights, `${name}.${part}`));
    return (features) => {
      const hidden = body(features), best = guess(features), open = gate(hidden), more = correction(hidden);
      return { curve: best.map((v, i) => sigmoid(open[i]) * v + CORRECTION_DB * more[i]),
        scale: logScale(hidden).map((v) => Math.exp(Math.min(Math.max(v, -4), 4))) };
    };
  }

  // One head, or a panel of them (stylefx/models/solver/panel.py): their mean, lessened, and the scale times the doubt
  function curvePanel(weights, name) {
    if (!weights[`${name}.members.0.guess.weight`]) return weights[`${name}.guess.weight`] && curveHead(weights, name);
    const [least, doubt] = ["least_db", "doubt"].map((n) => weights[`${name}.${n}`][0]), members = [];
    while (weights[`${name}.members.${members.length}.guess.weight`]) members.push(curveHead(weights, `${name}.members.${members.length}`));
    const meanOf = (rows) => rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
    return (features) => {
      const found = members.map((member) => member(features)), curve = meanOf(found.map((f) => f.curve)), scale = meanOf(found.map((f) => f.scale));
      const size = StyleNumbers.mean(withoutMean(curve).map(Math.abs)), kept = Math.max(1 - least / Math.max(size, 1e-6), 0);
      return { curve: curve.map((v) => kept * v), scale: scale.map((v) => doubt * v) };
    };
  }

  function controlHead(weights, name) {
    const body = network(weights, `${name}.body`, [0, 3], false), [last, past] = [linear(weights, `${name}.last`), linear(weights, `${name}.past`)];
    return (features) => { const direct = past(features); return last(body(features)).map((v, i) => v + direct[i]); };
  }

  // model: the studio's description of it; weights by name
  function controller(model, weights) {
    const { encoder, controller: options, effects, sampleRate } = model, read = StyleReading.reading(encoder, sampleRate, weights);
    const parameters = effects.flatMap((e) => e.parameters), neutral = parameters.map((p) => StyleSolver.toControl(p, p.default));
    const start = neutral.map((c) => { const v = Math.min(Math.max(c, 0.05), 0.95); return Math.log(v / (1 - v)); });
    const eq = StyleSolver.equaliser(effects), others = parameters.map((_, i) => i).filter((i) => !eq.places.includes(i));
    const solve = eq.places.length && StyleSolver.solver(weights, eq, read.pointsHz, sampleRate, eq.places.map((i) => start[i]), options.steps, options.polish);
    const curves = curvePanel(weights, "controller.curves");
    const heads = Object.fromEntries(options.intents.map((i) => [i, controlHead(weights, `controller.settings.${i}`)]));

    // The equaliser's curve, without its mean, and its scale
    function wanted(a, b, intent) {
      if (!solve) return { curve: read.pointsHz.map(() => 0), scale: read.pointsHz.map(() => 1) };
      if (intent === "balance") return { curve: withoutMean(read.differenceDb(a, b)), scale: read.halfScaleDb };
      const { curve, scale } = curves(read.shapes(a, b)), apart = read.apart(a, b);
      return { curve: withoutMean(curve.map((v) => apart * v)), scale };
    }

    // What the heads of the other controls read; logits: those that the solver found for the equaliser
    function features(a, b, curve, logits) {
      const shape = curve.map((v) => v / 10);
      if (!options.after_equaliser) return Float64Array.from([...read.full(a, b), ...shape]);
      const heard = solve ? read.equalised(a, StyleSolver.response(eq, logits.map(sigmoid), read.pointsHz, sampleRate)) : a;
      return Float64Array.from([...read.full(heard, b), ...shape, read.loudnessApart(heard, b)]);
    }

    // {controls, doubtDb}: all in [0, 1], in the order of the chain's parameters
    function predict(a, b, intent) {
      const { curve, scale } = wanted(a, b, intent), apart = read.apart(a, b), controls = Float64Array.from(neutral);
      const logits = solve ? solve(curve) : new Float64Array(0), offsets = heads[intent](features(a, b, curve, logits));
      others.forEach((place, i) => { controls[place] += apart * (sigmoid(start[place] + offsets[i]) - controls[place]); });
      logits.forEach((logit, i) => { controls[eq.places[i]] = sigmoid(logit); });
      return { controls, doubtDb: StyleNumbers.mean(scale) };
    }

    // Controls -> settings per effect, in their units
    function settings(controls) {
      let at = 0;
      return effects.map((e) => Object.fromEntries(e.parameters.map((p) => [p.name, StyleSolver.fromControl(p, controls[at++])])));
    }

    return { predict, settings };
  }

  return { controller };
})();
