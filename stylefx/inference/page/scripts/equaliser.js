// The equaliser's curve with one handle per band: drag it, or move it by arrow keys; the wheel and [ ] change its Q.
"use strict";

// view: as for the pictures, with edits
function styleEqualiser(view) {
  const svg = document.getElementById("eq"), readout = document.getElementById("eq-readout");
  const { data, edits, rate, freqs } = view, RADIUS = 11, REACH = 20;
  const handles = [];
  let scales = null, dragged = null, extent = 12;

  data.effects.forEach((effect, place) => {
    if (effect.effect !== "parametric_eq") return;
    for (const band of effect.bands) handles.push({ ...band, place, number: handles.length + 1 });
  });

  const settingsOf = (handle) => edits.state.effects[handle.place].settings;
  const parameter = (handle, what) => data.effects[handle.place].parameters.find((p) => p.name === `${handle.name}_${what}`);
  const gainOf = (handle) => settingsOf(handle)[`${handle.name}_gain_db`] ?? 0;
  const cutoffOf = (handle) => settingsOf(handle)[`${handle.name}_cutoff_hz`];

  function describe(handle) {
    const gain = parameter(handle, "gain_db") ? `, ${gainOf(handle).toFixed(1)} dB` : "";
    const q = settingsOf(handle)[`${handle.name}_q`].toFixed(2);
    return `${handle.number} ${handle.name.replaceAll("_", " ")}: ${cutoffOf(handle).toFixed(0)} Hz${gain}, Q ${q}`;
  }

  // Put values into a band, inside the ranges of its parameters
  function put(handle, values) {
    edits.edit(`band ${handle.number}`, (state) => {
      for (const [what, value] of Object.entries(values)) {
        const p = parameter(handle, what);
        if (p) state.effects[handle.place].settings[p.name] = Math.min(Math.max(value, p.minimum), p.maximum);
      }
    });
    readout.textContent = describe(handle);
  }

  function reset(handle) {
    const start = data.effects[handle.place].settings;
    put(handle, Object.fromEntries(["gain_db", "cutoff_hz", "q"].map((what) => [what, start[`${handle.name}_${what}`]])));
  }

  function position(event) {
    const box = svg.getBoundingClientRect();
    return { cutoff_hz: scales.px.invert(event.clientX - box.left), gain_db: scales.py.invert(event.clientY - box.top) };
  }

  function keyed(handle, event) {
    const fine = event.shiftKey ? 0.2 : 1, q = settingsOf(handle)[`${handle.name}_q`];
    const moves = {
      ArrowLeft: { cutoff_hz: cutoffOf(handle) * Math.pow(2, -fine / 12) }, ArrowRight: { cutoff_hz: cutoffOf(handle) * Math.pow(2, fine / 12) },
      ArrowUp: { gain_db: gainOf(handle) + 0.5 * fine }, ArrowDown: { gain_db: gainOf(handle) - 0.5 * fine },
      "]": { q: q * 1.1 }, "[": { q: q / 1.1 },
    };
    if (event.key === "Home" || event.key === "Delete") reset(handle);
    else if (moves[event.key]) put(handle, moves[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function makeHandle(handle) {
    const group = StyleCharts.element("g", { class: "handle", tabindex: 0, role: "slider", "aria-label": `band ${handle.number}` }, StyleCharts.layer(svg, "handles"));
    StyleCharts.element("circle", { r: REACH, class: "reach" }, group);
    StyleCharts.element("circle", { r: RADIUS, class: "point" }, group);
    StyleCharts.element("text", { "text-anchor": "middle", y: 4 }, group, handle.number);
    group.addEventListener("pointerdown", (event) => {
      dragged = handle;
      group.focus();
      group.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    group.addEventListener("pointermove", (event) => { if (dragged === handle) put(handle, position(event)); });
    for (const end of ["pointerup", "pointercancel"]) group.addEventListener(end, () => { dragged = null; draw(); });
    group.addEventListener("dblclick", () => reset(handle));
    group.addEventListener("focus", () => { readout.textContent = describe(handle); });
    group.addEventListener("keydown", (event) => keyed(handle, event));
    group.addEventListener("wheel", (event) => {
      put(handle, { q: settingsOf(handle)[`${handle.name}_q`] * Math.pow(1.1, Math.sign(event.deltaY)) });
      event.preventDefault();
    }, { passive: false });
    handle.node = group;
  }

  function responses(effects) {
    const list = effects.filter((e) => e.effect === "parametric_eq" && !e.bypass).flatMap((e) => StyleDsp.sections(e.bands, e.settings, rate));
    return freqs.map((f) => [f, StyleDsp.responseDb(list, f, rate)]);
  }

  function draw() {
    const now = responses(edits.heard().effects), then = responses(data.effects);
    const largest = Math.max(6, ...[...now, ...then].map((p) => Math.abs(p[1])), ...handles.map((h) => Math.abs(gainOf(h))));
    if (!dragged) extent = largest > 18 ? Math.ceil(largest / 12) * 12 : Math.ceil((largest + 1) / 6) * 6; // stands still under a finger
    scales = StyleCharts.draw(svg, {
      x: StyleCharts.frequencyAxis(rate), y: { min: -extent, max: extent, ticks: StyleCharts.steps(-extent, extent, extent > 18 ? 12 : 6), label: "dB" },
      lines: [{ class: "predicted", points: then }, { class: "output", points: now }], describe: "Gain of the equaliser in dB over frequency",
    });
    for (const handle of handles) {
      handle.node.setAttribute("transform", `translate(${scales.px(cutoffOf(handle)).toFixed(1)} ${scales.py(gainOf(handle)).toFixed(1)})`);
      handle.node.setAttribute("aria-valuetext", describe(handle));
      handle.node.setAttribute("aria-valuenow", gainOf(handle).toFixed(1));
    }
  }

  StyleCharts.layer(svg, "plot"); // below the handles, which must stay in the document while they are dragged
  handles.forEach(makeHandle);
  return { draw, handles };
}
