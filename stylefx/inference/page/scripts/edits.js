// What the listener has changed, what can be undone, and what is heard of it.
"use strict";

// onChange() is called after every edit, undo and reset
function styleEdits(data, onChange) {
  const PAUSE_MS = 700; // edits of one gesture that follow one another within this time are undone together
  const MAX_SLOPE = 0.99; // as in the amounts of the command
  const copy = (value) => JSON.parse(JSON.stringify(value));
  const predicted = () => ({
    effects: data.effects.map((e) => ({ ...copy(e), amount: 1 })), outputGainDb: data.outputGainDb, bypassAll: false,
    weights: data.weights ? copy(data.weights.start) : null,
  });
  const state = predicted(), past = [], future = [];
  let last = { gesture: null, at: 0 };

  const snapshot = () => copy({ effects: state.effects, outputGainDb: state.outputGainDb, bypassAll: state.bypassAll, weights: state.weights });

  // Change the state by change(state); edits with the same gesture name in a row are one step back
  function edit(gesture, change) {
    const now = performance.now();
    if (gesture !== last.gesture || now - last.at > PAUSE_MS) past.push(snapshot());
    last = { gesture, at: now };
    future.length = 0;
    change(state);
    onChange();
  }

  function step(from, to) {
    if (!from.length) return;
    to.push(snapshot());
    Object.assign(state, from.pop());
    last = { gesture: null, at: 0 };
    onChange();
  }

  const toControl = (p, v) => (p.scale === "log" ? Math.log(v / p.minimum) / Math.log(p.maximum / p.minimum)
    : (v - p.minimum) / (p.maximum - p.minimum));
  const fromControl = (p, c) => (p.scale === "log" ? p.minimum * Math.pow(p.maximum / p.minimum, c)
    : p.minimum + c * (p.maximum - p.minimum));

  // Less or more of an effect (hearing/levels.py): gains and slopes are multiplied, frequencies, times and thresholds stay
  const KEPT = /(_cutoff_hz|_q|threshold_db|ceiling_db|attack_ms|release_ms|knee_db|range_db)$/;
  function scaled(effect) {
    if (effect.amount === 1) return effect.settings;
    const out = {};
    for (const p of effect.parameters) {
      const value = effect.settings[p.name];
      if (KEPT.test(p.name)) out[p.name] = value;
      else if (p.name.endsWith("gain_db")) out[p.name] = effect.amount * value;
      else if (p.name.endsWith("ratio")) out[p.name] = 1 / (1 - Math.min(effect.amount * (1 - 1 / value), MAX_SLOPE));
      else {
        const start = toControl(p, p.default);
        out[p.name] = fromControl(p, Math.min(Math.max(start + effect.amount * (toControl(p, value) - start), 0), 1));
      }
    }
    return out;
  }

  // The chain as it sounds: amounts worked in; with everything bypassed the output is the input
  function heard() {
    return {
      effects: state.effects.map((e) => ({ ...e, settings: scaled(e), bypass: state.bypassAll || e.bypass })),
      outputGainDb: state.bypassAll ? 0 : state.outputGainDb,
    };
  }

  const changed = () => {
    const then = predicted();
    return JSON.stringify([state.effects, state.outputGainDb]) !== JSON.stringify([then.effects, then.outputGainDb]);
  };

  // The settings document with the edits in it
  function saved() {
    const out = copy(data.document);
    out.effects.forEach((entry, i) => {
      entry.settings = copy(scaled(state.effects[i]));
      delete entry.clamped;
      if (state.effects[i].bypass) entry.bypass = true;
      else delete entry.bypass;
    });
    out.output_gain_db = state.outputGainDb;
    if (changed()) out.about.edited_in_page = true;
    if (state.weights && JSON.stringify(state.weights) !== JSON.stringify(data.weights.start)) {
      for (const [part, weights] of Object.entries(state.weights)) {
        const sum = weights.reduce((a, b) => a + b, 0);
        out.about[`${part}_weights`] = weights.map((w) => w / sum);
      }
    }
    return out;
  }

  return {
    state, edit, heard, changed, saved, scaled, toControl, fromControl,
    undo: () => step(past, future), redo: () => step(future, past),
    get canUndo() { return past.length > 0; }, get canRedo() { return future.length > 0; },
    reset: () => edit("reset", () => Object.assign(state, predicted())),
  };
}
