"use strict";
// A blind test: sounds of one trial run in step, and switching only moves their gains, so that nothing gives an order away.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const answers = data.trials.map((trial) => trial.stimuli.map(() => ({ score: null, heard: 0 })));
  const REFERENCE = -1, FADE_S = 0.01;
  let at = 0, chosen = REFERENCE, context = null, running = null, rows = [], lastTick = 0;

  const bytes = (address) => {
    const text = atob(address.slice(address.indexOf(",") + 1));
    return Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer;
  };

  async function load(index) {
    const trial = data.trials[index];
    if (!trial.buffers) {
      const all = [trial.reference, ...trial.stimuli.map((s) => s.audio)];
      trial.buffers = await Promise.all(all.map((a) => context.decodeAudioData(bytes(a))));
    }
    return trial.buffers;
  }

  async function play() {
    if (!context) context = new AudioContext();
    await context.resume();
    const index = at, buffers = await load(index);
    if (running || index !== at) return;
    const started = context.currentTime + 0.05;
    const voices = buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(context, { buffer, loop: true });
      const gain = new GainNode(context, { gain: i === chosen + 1 ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(started);
      return { source, gain };
    });
    running = { voices, started, seconds: buffers[0].duration };
    lastTick = performance.now();
    show();
    requestAnimationFrame(tick);
  }

  function stop() {
    if (running) running.voices.forEach((v) => v.source.stop());
    running = null;
    byId("position").value = 0;
    show();
  }

  function tick() {
    if (!running) return;
    const now = performance.now();
    if (chosen !== REFERENCE) answers[at][chosen].heard += (now - lastTick) / 1000;
    lastTick = now;
    byId("position").value = (Math.max(0, context.currentTime - running.started) % running.seconds) / running.seconds;
    requestAnimationFrame(tick);
  }

  function choose(which) {
    if (which >= data.trials[at].stimuli.length) return;
    chosen = which;
    if (running) {
      running.voices.forEach((v, i) => v.gain.gain.setTargetAtTime(i === chosen + 1 ? 1 : 0, context.currentTime, FADE_S / 3));
      show();
    } else {
      show();
      play();
    }
  }

  function element(name, attributes, text) {
    const made = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function row(i) {
    const holder = element("div", { class: "row" });
    const button = element("button", { "aria-pressed": "false" }, `Sound ${i + 1}`);
    const slider = element("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": `Rating of sound ${i + 1}` });
    const output = element("span", { class: "score" }, "-");
    button.addEventListener("click", () => choose(i));
    const rate = () => { answers[at][i].score = Number(slider.value); show(); };
    ["input", "change"].forEach((kind) => slider.addEventListener(kind, rate));
    slider.addEventListener("focus", () => { if (running) choose(i); });
    holder.append(button, slider, output);
    return { holder, button, slider, output };
  }

  function open(index) {
    stop();
    at = index;
    chosen = REFERENCE;
    rows = data.trials[at].stimuli.map((_, i) => row(i));
    byId("rows").replaceChildren(...rows.map((r) => r.holder));
    rows.forEach((r, i) => { r.slider.value = answers[at][i].score ?? 50; });
    show();
  }

  const rated = () => answers.flat().filter((a) => a.score !== null).length;

  function show() {
    const trial = data.trials[at];
    byId("title").textContent = `Trial ${at + 1} of ${data.trials.length}` + (trial.kind ? `: ${trial.kind}` : "");
    byId("play").textContent = running ? "Pause" : "Play";
    byId("play").setAttribute("aria-pressed", String(Boolean(running)));
    byId("reference").setAttribute("aria-pressed", String(chosen === REFERENCE));
    rows.forEach((r, i) => {
      const score = answers[at][i].score;
      r.button.setAttribute("aria-pressed", String(chosen === i));
      r.holder.classList.toggle("rated", score !== null);
      r.output.textContent = score === null ? "-" : String(score);
    });
    byId("back").disabled = at === 0;
    byId("next").disabled = at === data.trials.length - 1;
    byId("state").textContent = `${rated()} of ${answers.flat().length} sounds rated`;
  }

  function cell(value) {
    const text = String(value);
    const safe = /^[=+\-@\t\r]/.test(text) && typeof value === "string" ? `'${text}` : text; // no formula for a spreadsheet
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function csv() {
    const lines = [["session", "listener", "trial", "stimulus", "score", "heard_s"]];
    data.trials.forEach((trial, t) => trial.stimuli.forEach((stimulus, i) => {
      const { score, heard } = answers[t][i];
      if (score !== null) lines.push([data.session, byId("listener").value.trim(), trial.name, stimulus.id, score, Number(heard.toFixed(1))]);
    }));
    return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
  }

  function save() {
    const link = element("a", { download: `listening-${data.session}.csv` });
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  byId("play").addEventListener("click", () => (running ? stop() : play()));
  byId("reference").addEventListener("click", () => choose(REFERENCE));
  byId("back").addEventListener("click", () => open(at - 1));
  byId("next").addEventListener("click", () => open(at + 1));
  byId("save").addEventListener("click", save);
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "listener" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.tagName !== "BUTTON") { event.preventDefault(); if (running) stop(); else play(); }
    if (/^[0-9]$/.test(event.key)) { event.preventDefault(); choose(Number(event.key) - 1); }
  });
  open(0);
})();
