// The page: draw, listen, edit. load() gives the tracks {input, reference}, [Float32Array per channel] each; close() ends it.
"use strict";

function openStylePage(data, load) {
  const $ = (id) => document.getElementById(id);
  const rate = data.sampleRate, freqs = StyleCharts.frequencies(rate);
  const edits = styleEdits(data, () => changed());
  const view = { data, edits, rate, freqs, tracks: {}, levels: {}, spectra: {}, reduction: [], predictedTrace: [], stepS: 1 };
  const say = (text) => { $("status").textContent = text; };
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const decibels = (v) => (v > -100 ? v.toFixed(1) : "–"); // also for what is silent
  const pictures = stylePictures(view), panel = stylePanel(view, say), waveform = styleWaveform(view);
  view.equaliser = styleEqualiser(view);
  const ended = new AbortController(), { signal } = ended;
  let player, blind, timer, worst = -Infinity;

  // ---- audio and measurements

  function measure(name, channels) {
    view.levels[name] = { lufs: StyleMeters.lufs(channels, rate), peak: StyleMeters.truePeak(channels) };
    view.spectra[name] = StyleMeters.spectrum(channels, rate, freqs);
  }

  const matched = () => $("match").getAttribute("aria-pressed") === "true";

  function matchGains() { // all as loud as the quietest that may go up to -1 dBTP
    const { levels } = view, names = Object.keys(levels).filter((n) => Number.isFinite(levels[n].lufs));
    const target = Math.min(...names.map((n) => levels[n].lufs - levels[n].peak - 1));
    for (const n of Object.keys(levels)) {
      player.gains[n] = matched() && names.includes(n) ? Math.pow(10, (target - levels[n].lufs) / 20) : 1;
    }
    player.mix();
  }

  function setMatch(on) {
    $("match").setAttribute("aria-pressed", on);
    matchGains();
    pictures.draw();
  }

  function changed() { // the worklet, curves and numbers at once; loudness and the wave when the hand rests
    player.set(edits.heard());
    panel.place();
    view.equaliser.draw();
    $("undo").disabled = !edits.canUndo;
    $("redo").disabled = !edits.canRedo;
    $("bypass").setAttribute("aria-pressed", edits.state.bypassAll);
    clearTimeout(timer);
    timer = setTimeout(analyse, 120);
  }

  function analyse() {
    const heard = edits.heard(), done = StyleMeters.render(heard.effects, heard.outputGainDb, view.tracks.input, rate);
    Object.assign(view, { reduction: done.reduction, stepS: done.stepS, rendered: done.channels });
    measure("output", done.channels);
    worst = -Infinity;
    clip(view.levels.output.peak, "true peak");
    matchGains();
    pictures.draw();
    pictures.drawLevels();
    drawWave();
  }

  // ---- meters

  function clip(db, what) { // stays lit until it is pressed or the sound changes
    worst = Math.max(worst, db);
    $("clip").classList.toggle("lit", worst > 0);
    $("clip").textContent = worst > 0 ? `CLIP ${worst.toFixed(1)}` : "clip";
    $("clip").title = worst > 0 ? `The output is ${worst.toFixed(1)} dB above full scale (${what}); a fixed-point file would clip` : "The output stays below full scale";
  }

  function onMeter({ reductionDb, inputDb, outputDb }) {
    for (const [id, db] of [["in", inputDb], ["out", outputDb]]) {
      $(`meter-${id}`).style.width = `${Math.min(100, Math.max(0, (100 * (db + 60)) / 60))}%`;
      $(`level-${id}`).textContent = decibels(db);
    }
    $("meter-gr").style.width = `${Math.min(100, (db24(reductionDb)))}%`;
    $("level-gr").textContent = (-reductionDb).toFixed(1);
    if (outputDb > 0) clip(outputDb, "peak");
  }
  const db24 = (db) => (db / 24) * 100;

  // ---- player controls

  async function toggle() {
    if (player.playing) player.pause();
    else await player.play(edits.heard()).catch((error) => say(`This browser cannot play the page: ${error.message}`));
    $("play").textContent = player.playing ? "Pause" : "Play";
    $("play").setAttribute("aria-pressed", player.playing);
  }

  const drawWave = () => waveform.draw(blind?.on ? "input" : player.selected);

  function select(name) {
    player.select(name);
    for (const button of document.querySelectorAll("[data-track]")) {
      const on = button.dataset.track === name;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
    drawWave();
  }

  function tick() {
    $("time").textContent = `${clock(player.position)} / ${clock(player.duration)}`;
    if (document.activeElement !== $("seek") || player.playing) $("seek").value = (1000 * player.position) / player.duration;
    waveform.tick();
    if (!signal.aborted) requestAnimationFrame(tick);
  }

  const NAMES = ["input", "output", "reference"];
  function keyboard(event) {
    const { key, target } = event, typing = target.matches("input[type=number]"), radio = target.closest("[data-track]");
    if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z") { (event.shiftKey ? edits.redo : edits.undo)(); event.preventDefault(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === " ") { // plays everywhere; on Play itself the press does
      if (target === $("play")) return;
      toggle();
    } else if (typing) return;
    else if (target.matches("select")) return;
    else if (blind.on && /^[ab]$/i.test(key)) blind.hear(key.toLowerCase());
    else if (!blind.on && key >= "1" && key <= "3") select(NAMES[key - 1]);
    else if (radio && /^Arrow/.test(key)) {
      const next = NAMES[(NAMES.indexOf(radio.dataset.track) + (/Right|Down/.test(key) ? 1 : 2)) % 3];
      select(next);
      document.querySelector(`[data-track=${next}]`).focus();
    } else if (target.closest("input, button, a, [role=slider]")) return;
    else if (key === "ArrowLeft" || key === "ArrowRight") player.seek(player.position + (key === "ArrowLeft" ? -1 : 1));
    else return;
    event.preventDefault();
  }

  function connect() {
    const click = (id, action) => $(id).addEventListener("click", action);
    click("play", toggle);
    click("match", () => setMatch(!matched()));
    click("undo", edits.undo);
    click("redo", edits.redo);
    click("reset", edits.reset);
    click("bypass", () => edits.edit("bypass all", (state) => { state.bypassAll = !state.bypassAll; }));
    click("clip", () => { worst = -Infinity; clip(worst, ""); });
    $("seek").addEventListener("input", () => player.seek(($("seek").value / 1000) * player.duration));
    for (const button of document.querySelectorAll("[data-track]")) button.addEventListener("click", () => select(button.dataset.track));
    document.addEventListener("keydown", keyboard, { signal });
    document.addEventListener("keyup", (event) => { // a button must not be pressed by the Space that plays
      if (event.key === " " && event.target !== $("play")) event.preventDefault();
    }, { signal });
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; pictures.draw(); drawWave(); } }, { signal });
    StyleExports.connect(view, say);
  }

  // The excerpt through the AudioWorklet, faster than real time, look-ahead compensated: [Float32Array per channel]
  async function renderThroughWorklet() {
    const channels = view.tracks.input, heard = edits.heard(), late = StyleDsp.chain(heard.effects, 0, rate, 1).latency;
    const context = new OfflineAudioContext(channels.length, channels[0].length + late, rate);
    await StylePlayer.addWorklet(context);
    const source = context.createBufferSource(), node = StylePlayer.styleNode(context, heard, channels.length);
    source.buffer = player.buffer(context, channels);
    source.connect(node).connect(context.destination);
    source.start();
    const done = await context.startRendering();
    return channels.map((_, c) => done.getChannelData(c).slice(late));
  }

  async function start() {
    $("about").textContent = data.about;
    for (const fact of data.facts) $("facts").append(Object.assign(document.createElement("li"), { textContent: fact }));
    Object.assign(view.tracks, await load());
    for (const name of ["input", "reference"]) measure(name, view.tracks[name]);
    player = view.player = new StylePlayer(rate, view.tracks, onMeter);
    blind = styleBlind(select, setMatch, say);
    panel.build($("settings"));
    styleWeights(view, panel);
    panel.place();
    pictures.drawKeys();
    connect();
    analyse();
    view.predictedTrace = view.reduction;
    pictures.drawTrace();
    select("output");
    $("undo").disabled = $("redo").disabled = true;
    requestAnimationFrame(tick);
  }

  function close() {
    ended.abort();
    clearTimeout(timer);
    player?.close();
  }

  const ready = start().catch((error) => {
    say(`This browser cannot show the page: ${error.message}`);
    throw error;
  });
  return { ready, view, edits, state: edits.state, tracks: view.tracks, levels: view.levels, spectra: view.spectra, freqs, renderThroughWorklet, close,
    get player() { return player; }, get blind() { return blind; } };
}
