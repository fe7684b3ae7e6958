// The page: decode the excerpts, draw, listen, move the sliders, save. Data comes from the element #data.
"use strict";

const stylePage = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const clone = (value) => JSON.parse(JSON.stringify(value));
  const rate = data.sampleRate;
  const freqs = StyleCharts.frequencies(rate);
  const state = { effects: clone(data.effects), outputGainDb: data.outputGainDb };
  const tracks = {}, levels = {}, spectra = {};
  const view = { data, state, rate, freqs, levels, spectra, predictedTrace: [], changed: () => changed() };
  const pictures = stylePictures(view);
  let player;

  // ---- values and labels

  const unitOf = (p) => (p.unit ? " " + p.unit : "");
  const digits = (v) => (Math.abs(v) >= 1000 ? v.toFixed(0) : Math.abs(v) >= 100 ? v.toFixed(1) : v.toFixed(2));
  const seconds = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const labelOf = (p) => p.name.replace(/_(db|hz|ms)$/, "").replaceAll("_", " ");
  const toControl = (p, v) => (p.scale === "log" ? Math.log(v / p.minimum) / Math.log(p.maximum / p.minimum)
    : (v - p.minimum) / (p.maximum - p.minimum));
  const fromControl = (p, c) => (p.scale === "log" ? p.minimum * Math.pow(p.maximum / p.minimum, c)
    : p.minimum + c * (p.maximum - p.minimum));

  // ---- audio

  async function decode(source) {
    const bytes = Uint8Array.from(atob(source.flac), (c) => c.charCodeAt(0));
    const buffer = await new OfflineAudioContext(source.channels, 1, rate).decodeAudioData(bytes.buffer);
    const factor = Math.pow(10, source.gainDb / 20);
    return Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).map((v) => v * factor));
  }

  function measure(name, channels) {
    levels[name] = { lufs: StyleMeters.lufs(channels, rate), peak: StyleMeters.truePeak(channels) };
    spectra[name] = StyleMeters.spectrum(channels, rate, freqs);
  }

  function matchGains() { // all as loud as the quietest that may go up to -1 dBTP
    const names = Object.keys(levels).filter((n) => Number.isFinite(levels[n].lufs));
    const target = Math.min(...names.map((n) => levels[n].lufs - levels[n].peak - 1));
    for (const n of Object.keys(levels)) {
      player.gains[n] = $("match").checked && names.includes(n) ? Math.pow(10, (target - levels[n].lufs) / 20) : 1;
    }
    player.mix();
  }

  // ---- settings

  const GAIN = { name: "output_gain_db", unit: "dB", minimum: -24, maximum: 24, scale: "linear" };

  function slider(p, get, put, predicted, span) {
    const row = document.createElement("tr"), low = Math.min(p.minimum, predicted), high = Math.max(p.maximum, predicted);
    const wide = { ...p, minimum: low, maximum: high }, input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max: 1, step: 0.001 });
    input.setAttribute("aria-label", labelOf(p));
    const cells = [labelOf(p), input, "", span ? `${digits(span[0])} .. ${digits(span[1])}` : ""].map((content, i) => {
      const cell = document.createElement("td");
      if (i > 1) cell.className = "number";
      cell.append(content);
      row.append(cell);
      return cell;
    });
    const show = () => {
      const text = digits(get()) + unitOf(p);
      cells[2].textContent = text;
      input.setAttribute("aria-valuetext", text);
      row.classList.toggle("changed", Math.abs(toControl(wide, get()) - toControl(wide, predicted)) > 1e-6);
    };
    const place = () => { input.value = toControl(wide, get()); show(); };
    input.addEventListener("input", () => { put(fromControl(wide, Number(input.value))); show(); update(); });
    place();
    return { row, place };
  }

  const sliders = [];
  function buildSettings() {
    // Spans are those of the prediction; refined settings have left them.
    const about = data.document.about, spans = about.refine ? {} : (about.confidence || {}).span_10_90 || {};
    const columns = [document.createElement("div"), document.createElement("div")];
    const groups = data.effects.map((effect, i) => [effect.effect.replaceAll("_", " "), effect.parameters.map((p) => slider(p,
      () => state.effects[i].settings[p.name], (v) => { state.effects[i].settings[p.name] = v; },
      effect.settings[p.name], (spans[effect.effect] || {})[p.name]))]);
    groups.push(["output", [slider(GAIN, () => state.outputGainDb, (v) => { state.outputGainDb = v; }, data.outputGainDb)]]);
    for (const [i, [title, rows]] of groups.entries()) {
      const table = document.createElement("table");
      table.className = "settings";
      table.innerHTML = `<thead><tr><th>${title}</th><th></th><th class="number">value</th><th class="number">${Object.keys(spans).length ? "windows" : ""}</th></tr></thead>`;
      table.createTBody().append(...rows.map((r) => r.row));
      sliders.push(...rows);
      columns[Math.min(i, 1)].append(table);
    }
    $("settings").append(...columns);
  }

  const changed = () => JSON.stringify([state.effects, state.outputGainDb]) !== JSON.stringify([data.effects, data.outputGainDb]);

  let timer;
  function update() { // the worklet at once, pictures and loudness when the slider rests
    player.set(state.effects, state.outputGainDb);
    clearTimeout(timer);
    timer = setTimeout(analyse, 120);
  }

  function analyse() {
    const done = StyleMeters.render(state.effects, state.outputGainDb, tracks.input, rate);
    Object.assign(state, { reduction: done.reduction, stepS: done.stepS, rendered: done.channels });
    measure("output", done.channels);
    matchGains();
    pictures.draw();
    pictures.drawLevels();
  }

  function saved() {
    const document_ = clone(data.document);
    document_.effects.forEach((entry, i) => {
      entry.settings = clone(state.effects[i].settings);
      delete entry.clamped;
      if (state.effects[i].bypass) entry.bypass = true;
      else delete entry.bypass;
    });
    document_.output_gain_db = state.outputGainDb;
    if (changed()) document_.about.edited_in_page = true;
    return document_;
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(saved(), null, 2) + "\n"], { type: "application/json" }));
    link.download = data.saveAs;
    link.click();
    URL.revokeObjectURL(link.href);
    $("status").textContent = `Saved ${data.saveAs}.`;
  }

  // ---- player controls

  async function toggle() {
    if (player.playing) player.pause();
    else {
      await player.play(state.effects, state.outputGainDb).catch((error) => {
        $("status").textContent = `This browser cannot play the page: ${error.message}`;
      });
    }
    $("play").textContent = player.playing ? "Pause" : "Play";
    $("play").setAttribute("aria-pressed", player.playing);
  }

  function select(name) {
    player.select(name);
    for (const button of document.querySelectorAll("[data-track]")) {
      const on = button.dataset.track === name;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
  }

  function tick() {
    $("time").textContent = `${seconds(player.position)} / ${seconds(player.duration)}`;
    if (document.activeElement !== $("seek") || player.playing) $("seek").value = (1000 * player.position) / player.duration;
    requestAnimationFrame(tick);
  }

  function keyboard(event) {
    const names = ["input", "output", "reference"], control = event.target.closest("input, button, a");
    const radio = event.target.closest("[role=radio]");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key >= "1" && event.key <= "3") select(names[event.key - 1]);
    else if (radio && /^Arrow/.test(event.key)) {
      const next = (names.indexOf(radio.dataset.track) + (/Right|Down/.test(event.key) ? 1 : 2)) % 3;
      select(names[next]);
      document.querySelector(`[data-track=${names[next]}]`).focus();
    } else if (control) return;
    else if (event.key === " ") toggle();
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") player.seek(player.position + (event.key === "ArrowLeft" ? -1 : 1));
    else return;
    event.preventDefault();
  }

  function connect() {
    $("play").addEventListener("click", toggle);
    $("seek").addEventListener("input", () => player.seek(($("seek").value / 1000) * player.duration));
    $("match").addEventListener("change", () => { matchGains(); pictures.draw(); });
    $("save").addEventListener("click", save);
    $("reset").addEventListener("click", () => {
      state.effects = clone(data.effects);
      state.outputGainDb = data.outputGainDb;
      $("bypass").setAttribute("aria-pressed", false);
      sliders.forEach((s) => s.place());
      update();
    });
    $("bypass").addEventListener("click", () => {
      const on = $("bypass").getAttribute("aria-pressed") !== "true";
      $("bypass").setAttribute("aria-pressed", on);
      state.effects.forEach((e, i) => { e.bypass = on || Boolean(data.effects[i].bypass); });
      update();
    });
    for (const button of document.querySelectorAll("[data-track]")) button.addEventListener("click", () => select(button.dataset.track));
    document.addEventListener("keydown", keyboard);
  }

  // The excerpt through the AudioWorklet, faster than real time: [Float32Array per channel]
  async function renderThroughWorklet() {
    const channels = tracks.input, context = new OfflineAudioContext(channels.length, channels[0].length, rate);
    await StylePlayer.addWorklet(context);
    const source = context.createBufferSource(), node = StylePlayer.styleNode(context, state.effects, state.outputGainDb, channels.length);
    source.buffer = player.buffer(context, channels);
    source.connect(node).connect(context.destination);
    source.start();
    const done = await context.startRendering();
    return channels.map((_, c) => done.getChannelData(c));
  }

  async function start() {
    $("about").textContent = data.about;
    for (const name of ["input", "reference"]) {
      tracks[name] = await decode(data.audio[name]);
      measure(name, tracks[name]);
    }
    player = new StylePlayer(rate, tracks, (db) => {
      $("meter").style.width = `${Math.min(100, (db / 24) * 100)}%`;
      $("reduction").textContent = `${(-db).toFixed(1)} dB`;
    });
    view.player = player;
    buildSettings();
    pictures.drawKeys();
    connect();
    analyse();
    view.predictedTrace = state.reduction;
    pictures.drawTrace();
    select("output");
    requestAnimationFrame(tick);
  }

  const ready = start().catch((error) => {
    $("status").textContent = `This browser cannot show the page: ${error.message}`;
    throw error;
  });
  return { ready, state, tracks, levels, spectra, freqs, saved, renderThroughWorklet, get player() { return player; } };
})();
