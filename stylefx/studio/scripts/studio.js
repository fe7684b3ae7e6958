// The studio: two files are dropped, the worker predicts, the tool below goes on from there.
"use strict";

const styleStudio = (() => {
  const EXCERPT_S = 20, PLACES = 12;
  const $ = (id) => document.getElementById(id), say = (text) => { $("progress").textContent = text; };
  const recordings = {}, waiting = new Map(), stem = (name) => name.replace(/\.[^.]*$/, "");
  let model, page = null, count = 0, intent = null, worker, latest = 0, done = Promise.resolve(), found = null;

  // ---- the worker

  function ask(task, more = {}, transfer = []) {
    const id = ++count;
    worker.postMessage({ id, task, ...more }, transfer);
    return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  }

  function answered({ data }) {
    if (data.progress) { say(`${data.progress} …`); return; }
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) reject(new Error(data.error));
    else resolve(data.result);
  }

  // ---- excerpts: what the tool plays and draws, of a stretch with the median power among those that sound

  const powerOf = (channels, from, to) => {
    let sum = 0;
    for (const x of channels) for (let i = from; i < to; i++) sum += x[i] * x[i];
    return sum / (to - from);
  };

  function typicalStart({ channels, rate }) {
    const frames = channels[0].length, span = Math.min(frames, EXCERPT_S * rate);
    const places = Array.from({ length: PLACES }, (_, i) => Math.round((i * (frames - span)) / (PLACES - 1)));
    const list = places.map((at) => ({ at, power: powerOf(channels, at, at + span) })).sort((a, b) => a.power - b.power);
    const sounding = list.filter((p) => p.power > 1e-3 * list[list.length - 1].power);
    return sounding[Math.floor(sounding.length / 2)]?.at ?? 0;
  }

  const cut = ({ channels, rate }, start) => channels.map((x) => x.slice(start, start + EXCERPT_S * rate));

  function tracks(start) {
    const { input, reference } = recordings, heard = cut(reference, typicalStart(reference));
    return { input: cut(input, start), reference: heard.map((x) => StyleResample.resample(x, reference.rate, input.rate)) };
  }

  // ---- the tool

  function openTool(start, edits) {
    const { input, reference } = recordings, { agreement } = found;
    page?.close();
    $("stage").replaceChildren($("tool").content.cloneNode(true));
    $("facts").replaceChildren();
    $("names").textContent = `${input.name} in the style of ${reference.name}`;
    const doubt = `agreement of ${agreement.windows} windows, the model's own doubt about the equaliser +-${agreement.model_doubt_db.toFixed(1)} dB: ${agreement.agreement}`;
    const data = { sampleRate: input.rate, effects: found.effects, outputGainDb: found.outputGainDb, document: found.document, whole: found.whole,
      facts: found.facts, exports: { ...model.exports, title: `stylefx style of ${stem(reference.name)}`, rate: input.rate }, name: stem(input.name), about: `intent: ${intent} · ${doubt}` };
    page = openStylePage(data, async () => tracks(start));
    const opened = page;
    return opened.ready.then(() => { if (edits) opened.edits.edit("another part", (state) => Object.assign(state, edits)); });
  }

  function placePart() {
    const { input } = recordings, last = Math.max(0, input.channels[0].length / input.rate - EXCERPT_S), start = typicalStart(input);
    $("part").max = last;
    $("part").value = start / input.rate;
    $("part-row").hidden = last === 0;
    showPart();
    return start;
  }
  const showPart = () => { const s = Number($("part").value); $("part-time").textContent = `from ${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`; };

  async function transfer() {
    const mine = ++latest, begun = performance.now();
    $("result").classList.add("stale");
    const result = await ask("transfer", { intent });
    if (mine !== latest) return; // another drop came meanwhile
    found = result;
    $("result").hidden = false;
    await openTool(placePart());
    $("result").classList.remove("stale");
    $("whole").disabled = false;
    say(`Predicted in this browser in ${((performance.now() - begun) / 1000).toFixed(1)} s; nothing was uploaded.`);
  }

  const fail = (error) => { say(error.message); $("progress").classList.add("wrong"); };

  function begin() {
    $("progress").classList.remove("wrong");
    done = recordings.input && recordings.reference ? transfer().catch(fail) : Promise.resolve();
    return done;
  }

  // ---- files, intent, the whole recording

  async function take(side, file) {
    $("progress").classList.remove("wrong");
    say(`reading ${file.name} …`);
    try {
      const recording = await StyleFiles.open(file);
      await ask("hold", { side, recording });
      recordings[side] = recording;
      const { name, rate, channels } = recording;
      $(`${side}-name`).textContent = `${name} · ${(channels[0].length / rate).toFixed(1)} s, ${rate} Hz, ${channels.length === 1 ? "mono" : `${channels.length} channels`}`;
      say(recordings.input && recordings.reference ? "" : `Now ${side === "input" ? "a reference: a recording that sounds as yours should" : "the recording that is to sound like it"}.`);
    } catch (error) { fail(error); return; }
    await begin();
  }

  function dropZone(side) {
    const zone = $(`drop-${side}`), input = $(`file-${side}`);
    input.addEventListener("change", () => { if (input.files[0]) done = take(side, input.files[0]); });
    for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
    for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) done = take(side, file);
    });
  }

  async function saveWhole() {
    $("whole").disabled = true;
    try {
      const { effects, outputGainDb } = StylePlayer.plain(page.edits.heard());
      say("rendering the whole recording …");
      const { channels, rate } = await ask("render", { effects, outputGainDb });
      say(`Saved ${StyleExports.save(`${stem(recordings.input.name)}-styled.wav`, StyleExports.wav(channels, rate), "audio/wav")}.`);
    } catch (error) { fail(error); } finally { $("whole").disabled = false; }
  }

  function intents(names) {
    for (const name of names) {
      const button = Object.assign(document.createElement("button"), { textContent: name, type: "button" });
      button.setAttribute("role", "radio");
      button.dataset.intent = name;
      button.addEventListener("click", () => { choose(name); begin(); });
      $("intents").append(button);
    }
    choose(names[0]);
  }

  function choose(name) {
    intent = name;
    for (const button of $("intents").children) button.setAttribute("aria-checked", button.dataset.intent === name);
  }

  async function start() {
    if (location.protocol === "file:") throw new Error("This page needs a web server: run stylefx studio, or serve this folder with any server.");
    worker = new Worker("scripts/worker.js");
    worker.onmessage = answered;
    worker.onerror = () => fail(new Error("The scripts of this page cannot be loaded; export the studio again."));
    ["input", "reference"].forEach(dropZone);
    for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // a miss must not leave the page
    $("whole").addEventListener("click", saveWhole);
    $("part").addEventListener("input", showPart);
    $("part").addEventListener("change", () => openTool(Math.round($("part").value * recordings.input.rate), JSON.parse(JSON.stringify(page.state))));
    ({ model } = await ask("model"));
    intents(model.controller.intents);
    say("Drop a recording and a reference. Everything stays on this computer.");
  }

  const ready = start().catch((error) => { fail(error); throw error; });
  return { ready, take, get done() { return done; }, get page() { return page; }, get found() { return found; } };
})();
