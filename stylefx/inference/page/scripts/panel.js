// The settings: per effect a bypass, an amount and a row per parameter with a slider and a number that can be typed.
"use strict";

// view: {data, edits}; say(text) tells the listener something
function stylePanel(view, say) {
  const { data, edits } = view, places = [];
  const make = (name, properties, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const labelOf = (p) => p.name.replace(/_(db|hz|ms)$/, "").replaceAll("_", " ");
  const digits = (v) => (Math.abs(v) >= 1000 ? v.toFixed(0) : Math.abs(v) >= 100 ? v.toFixed(1) : v.toFixed(2));
  const OUTPUT = { name: "output_gain_db", unit: "dB", minimum: -24, maximum: 24, scale: "linear" };
  const AMOUNT = { name: "amount", unit: "", minimum: 0, maximum: 1.5, scale: "linear" };

  // One row; get() and put(state, value) reach the value in the state
  function row(p, name, get, put, predicted, span) {
    const range = { ...p, minimum: Math.min(p.minimum, predicted), maximum: Math.max(p.maximum, predicted) };
    const slider = make("input", { type: "range", min: 0, max: 1, step: 0.001 });
    const number = make("input", { type: "number", step: "any", inputMode: "decimal" });
    slider.setAttribute("aria-label", name);
    number.setAttribute("aria-label", `${name}, typed`);
    const window_ = make("small", { textContent: span ? `${digits(span[0])} .. ${digits(span[1])}` : "", title: "10 to 90 % of the windows" });
    const node = make("div", { className: "setting", title: "Double click: back to the prediction" },
      make("span", { className: "name", textContent: name }), slider, make("span", { className: "value" }, number, make("span", { className: "unit", textContent: p.unit })), window_);
    const change = (value, gesture) => {
      const bounded = Math.min(Math.max(value, range.minimum), range.maximum);
      if (bounded !== value) say(`${name} goes from ${digits(range.minimum)} to ${digits(range.maximum)} ${p.unit}: set to ${digits(bounded)}.`);
      edits.edit(gesture, (state) => put(state, bounded));
    };
    slider.addEventListener("input", () => change(edits.fromControl(range, Number(slider.value)), `slider ${name}`));
    number.addEventListener("change", () => {
      if (number.value.trim() !== "" && Number.isFinite(Number(number.value))) change(Number(number.value), `typed ${name} ${performance.now()}`);
      place();
    });
    node.addEventListener("dblclick", () => edits.edit(`reset ${name}`, (state) => put(state, predicted)));
    const place = () => {
      slider.value = edits.toControl(range, get());
      slider.setAttribute("aria-valuetext", `${digits(get())} ${p.unit}`);
      number.value = digits(get());
      node.classList.toggle("changed", Math.abs(edits.toControl(range, get()) - edits.toControl(range, predicted)) > 1e-6);
    };
    places.push(place);
    return node;
  }

  function bypass(index, name) {
    const button = make("button", { type: "button", textContent: "Bypass" });
    button.setAttribute("aria-label", `bypass ${name}`);
    button.addEventListener("click", () => edits.edit(`bypass ${index}`, (state) => { state.effects[index].bypass = !state.effects[index].bypass; }));
    places.push(() => button.setAttribute("aria-pressed", edits.state.effects[index].bypass));
    return button;
  }

  function group(effect, i, spans) {
    const name = effect.effect.replaceAll("_", " ");
    const times = data.effects.slice(0, i).filter((e) => e.effect === effect.effect).length;
    const own = times ? ` ${times + 1}` : "";
    const amount = row(AMOUNT, `amount of ${name}${own}`, () => edits.state.effects[i].amount, (state, v) => { state.effects[i].amount = v; }, 1);
    const rows = effect.parameters.map((p) => row(p, labelOf(p) + own, () => edits.state.effects[i].settings[p.name],
      (state, v) => { state.effects[i].settings[p.name] = v; }, effect.settings[p.name], (spans[effect.effect] || {})[p.name]));
    return make("div", { className: "effect" }, make("div", { className: "row" }, make("h3", { textContent: name + own }), bypass(i, name + own)), amount, ...rows);
  }

  function build(target) {
    // Spans are those of the prediction; refined settings have left them.
    const about = data.document.about, spans = about.refine ? {} : (about.confidence || {}).span_10_90 || {};
    const columns = [make("div", {}), make("div", {})];
    data.effects.forEach((effect, i) => columns[Math.min(i, 1)].append(group(effect, i, spans)));
    columns[1].append(make("div", { className: "effect" }, make("h3", { textContent: "output" }),
      row(OUTPUT, "output gain", () => edits.state.outputGainDb, (state, v) => { state.outputGainDb = v; }, data.outputGainDb)));
    target.append(...columns);
  }

  return { build, row, place: () => places.forEach((place) => place()) };
}
