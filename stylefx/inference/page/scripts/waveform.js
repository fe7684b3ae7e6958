// The waveform of what is heard, with a playhead; a press or a drag moves it.
"use strict";

// view: {player, tracks, rendered}
function styleWaveform(view) {
  const svg = document.getElementById("wave");
  let dragging = false, held = "";

  const channelsOf = (name) => (name === "output" ? view.rendered : view.tracks[name]);

  // Largest and smallest sample per column, drawn as one filled path; ``full`` is the level of the upper edge
  function outline(channels, width, height, full) {
    const length = channels[0].length, upper = [], lower = [], y = (v) => (height / 2) * (1 - Math.min(Math.max(v / full, -1), 1));
    for (let x = 0; x < width; x++) {
      let low = 0, high = 0;
      for (const channel of channels) {
        for (let i = Math.floor((x * length) / width); i < Math.floor(((x + 1) * length) / width); i++) {
          if (channel[i] > high) high = channel[i];
          else if (channel[i] < low) low = channel[i];
        }
      }
      upper.push(`${x} ${y(high).toFixed(1)}`);
      lower.unshift(`${x} ${y(low).toFixed(1)}`);
    }
    return `M${upper.join("L")}L${lower.join("L")}Z`;
  }

  function draw(name) {
    const { width, height } = StyleCharts.sizeOf(svg), channels = channelsOf(name), plot = StyleCharts.layer(svg, "plot", true);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    let full = 0.1; // quiet recordings fill the height too
    for (const x of channels) for (const v of x) full = Math.max(full, Math.abs(v));
    StyleCharts.element("path", { d: outline(channels, Math.round(width), height, full), class: `wave ${name}` }, plot);
    for (const sign of full > 1 ? [1, -1] : []) { // full scale, where the wave goes beyond it
      const y = (height / 2) * (1 - sign / full);
      StyleCharts.element("line", { x1: 0, x2: width, y1: y, y2: y, class: "full-scale" }, plot);
    }
    held = name;
    tick();
  }

  function tick() {
    if (!held) return;
    const { width, height } = StyleCharts.sizeOf(svg), head = StyleCharts.layer(svg, "head");
    const line = head.firstChild || StyleCharts.element("line", { class: "playhead", y1: 0 }, head);
    const duration = channelsOf(held)[0].length / view.rate, x = ((view.player.position % duration) / duration) * width;
    line.setAttribute("y2", height);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }

  function seek(event) {
    const box = svg.getBoundingClientRect(), share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.9999);
    view.player.seek(share * Math.min(view.player.duration, channelsOf(held)[0].length / view.rate));
  }

  svg.addEventListener("pointerdown", (event) => { dragging = true; svg.setPointerCapture(event.pointerId); seek(event); });
  svg.addEventListener("pointermove", (event) => { if (dragging) seek(event); });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { dragging = false; });
  view.waveWidth = () => svg.clientWidth;
  return { draw, tick };
}
