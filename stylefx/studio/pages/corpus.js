// Browse a corpus: filters, a table a page at a time, the halves of a sample side by side.
"use strict";

const styleCorpus = (() => {
  const data = JSON.parse(document.getElementById("data").textContent), $ = (id) => document.getElementById(id);
  const COLUMNS = ["key", "split", "source", "group", "label", "pitch_cents", "tempo", "input_lufs", "target_lufs"];
  const query = { page: 0, sort: "" };
  let timer, mine = 0;
  const words = (name) => name.replaceAll("_", " ");
  const make = (name, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };

  async function ask(path, more) {
    const response = await fetch(`${path}?${new URLSearchParams(more)}`);
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  }

  function filter(name, value) {
    query[name] = value;
    query.page = 0;
    clearTimeout(timer);
    timer = setTimeout(show, 150);
  }

  function buildFilters() {
    const typed = (name, label, type) => make("input", { type, placeholder: label, oninput: (e) => filter(name, e.target.value), ariaLabel: `${words(name)} ${label}` });
    $("filters").append(make("label", { textContent: "key or group" }, typed("text", "contains", "search")));
    for (const [name, values] of Object.entries(data.words)) {
      if (values.length < 2) continue;
      const select = make("select", { onchange: (e) => filter(name, e.target.value), ariaLabel: name }, make("option", { value: "", textContent: "all" }),
        ...values.map((v) => make("option", { value: v, textContent: v })));
      $("filters").append(make("label", { textContent: name }, select));
    }
    for (const [name, [low, high]] of Object.entries(data.numbers)) {
      if (low === high) continue;
      $("filters").append(make("label", { textContent: words(name) }, make("span", { className: "bounds" },
        typed(`${name}.min`, low.toFixed(2), "number"), typed(`${name}.max`, high.toFixed(2), "number"))));
    }
  }

  function buildHead() {
    const row = make("tr");
    for (const name of COLUMNS) {
      const button = make("button", { textContent: words(name), onclick: () => { filter("sort", query.sort === name ? `-${name}` : name); } });
      row.append(make("th", { scope: "col" }, button));
    }
    $("rows").tHead.append(row);
  }

  async function show() {
    const turn = ++mine;
    try {
      const found = await ask("samples", query);
      if (turn !== mine) return;
      const body = found.rows.map((row) => make("tr", {}, ...COLUMNS.map((name) => {
        const value = row[name];
        if (name === "key") return make("td", {}, make("button", { textContent: value, onclick: () => open(value) }));
        return make("td", { className: typeof value === "number" ? "number" : "", textContent: typeof value === "number" ? value.toFixed(2) : value ?? "" });
      })));
      $("rows").tBodies[0].replaceChildren(...body);
      const pages = Math.max(1, Math.ceil(found.total / found.page_rows));
      $("count").textContent = `${found.total} of ${data.samples} samples`;
      $("place").textContent = `page ${query.page + 1} of ${pages}`;
      $("before").disabled = query.page === 0;
      $("next").disabled = query.page + 1 >= pages;
      $("status").textContent = "";
    } catch (error) { $("status").textContent = error.message; }
  }

  async function open(key) {
    try {
      const { members, document: text } = await ask("sample", { key }), players = [];
      $("sample").hidden = false;
      $("key").textContent = key;
      $("players").replaceChildren(...members.map((member) => {
        const audio = make("audio", { controls: true, preload: "none", src: `audio?${new URLSearchParams({ key, member })}` });
        audio.addEventListener("play", () => {
          const playing = players.find((other) => other !== audio && !other.paused);
          if (playing) { audio.currentTime = playing.currentTime; playing.pause(); }
        });
        players.push(audio);
        return make("figure", {}, make("figcaption", { textContent: member.replace(/\.[^.]*$/, "") }), audio);
      }));
      $("document").textContent = JSON.stringify(text, null, 1);
      $("sample").scrollIntoView({ block: "nearest" });
    } catch (error) { $("status").textContent = error.message; }
  }

  buildFilters();
  buildHead();
  $("before").addEventListener("click", () => { query.page--; show(); });
  $("next").addEventListener("click", () => { query.page++; show(); });
  return { ready: show(), open };
})();
