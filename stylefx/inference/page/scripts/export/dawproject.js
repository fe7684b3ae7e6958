// DAWproject: a ZIP (stored) with project.xml and metadata.xml, the same documents as stylefx/inference/export/dawproject.py writes.
"use strict";

const StyleDawproject = ((Plan) => {
  const { number } = Plan;
  const BANDS = { peak: "bell", low_shelf: "lowShelf", high_shelf: "highShelf", high_pass: "highPass", low_pass: "lowPass", notch: "notch" };
  const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const node = (name, attributes = {}, ...children) => ({ name, attributes, children });
  const real = (id, name, value, unit) => node(name, { value: number(value), unit, id: `${id}-${name.toLowerCase()}` });

  function text({ name, attributes, children }, indent = "") {
    const head = `${indent}<${name}${Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value).replaceAll('"', "&quot;")}"`).join("")}`;
    if (!children.length) return `${head} />`;
    if (typeof children[0] === "string") return `${head}>${escaped(children[0])}</${name}>`;
    return `${head}>\n${children.map((child) => text(child, `${indent}  `)).join("\n")}\n${indent}</${name}>`;
  }
  const xml = (root) => `<?xml version='1.0' encoding='utf-8'?>\n${text(root)}`;

  const device = (kind, id, ...children) => node(kind, { deviceName: kind, deviceRole: "audioFX", loaded: "true", id, name: kind },
    node("Enabled", { value: "true", id: `${id}-enabled` }), ...children);

  const WRITERS = {
    parametric_eq: (id, { bands, settings: s }) => device("Equalizer", id, ...bands.map(({ name, kind }, i) => {
      const values = [["Freq", s[`${name}_cutoff_hz`], "hertz"], ["Gain", s[`${name}_gain_db`], "decibel"], ["Q", s[`${name}_q`], "linear"]], own = `${id}-band${i + 1}`;
      return node("Band", { type: BANDS[kind], order: "2" }, ...values.filter(([, value]) => value !== undefined).map(([tag, value, unit]) => real(own, tag, value, unit)),
        node("Enabled", { value: "true", id: `${own}-enabled` }));
    })),
    compressor: (id, { settings: s }) => device("Compressor", id, real(id, "Attack", s.attack_ms / 1000, "seconds"), node("AutoMakeup", { value: "false", id: `${id}-automakeup` }),
      real(id, "OutputGain", s.makeup_gain_db, "decibel"), real(id, "Ratio", s.ratio, "linear"), real(id, "Release", s.release_ms / 1000, "seconds"), real(id, "Threshold", s.threshold_db, "decibel")),
    limiter: (id, { settings: s, config }) => device("Limiter", id, real(id, "Attack", config.lookahead_ms / 1000, "seconds"), real(id, "InputGain", s.gain_db, "decibel"),
      real(id, "Release", s.release_ms / 1000, "seconds"), real(id, "Threshold", s.ceiling_db, "decibel")),
  };

  // {name: text} of the archive
  function documents(view, chain) {
    let volumeDb = chain.outputGainDb;
    const devices = chain.effects.flatMap((effect, i) => {
      if (effect.bypass) return [];
      if (effect.effect !== "gain") return [WRITERS[effect.effect](`device${i}`, effect)];
      volumeDb += effect.settings.gain_db;
      return [];
    });
    const track = { contentType: "audio", loaded: "true" };
    const channel = node("Channel", { audioChannels: "2", destination: "master", role: "regular", solo: "false", id: "channel" },
      node("Devices", {}, ...devices), real("channel", "Volume", Math.pow(10, volumeDb / 20), "linear"));
    const project = node("Project", { version: "1.0" }, node("Application", { name: "stylefx", version: view.version }), node("Structure", {},
      node("Track", { ...track, id: "track", name: view.title }, channel),
      node("Track", { ...track, id: "master-track", name: "Master" }, node("Channel", { audioChannels: "2", role: "master", solo: "false", id: "master" }))));
    const metadata = node("MetaData", {}, node("Title", {}, view.title),
      node("Comment", {}, "Written by `stylefx export --to dawproject`. Times are those of 10 to 90 %."));
    return { "project.xml": xml(project), "metadata.xml": xml(metadata) };
  }

  function crc32(bytes) {
    let crc = -1;
    for (const byte of bytes) {
      crc ^= byte;
      for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc >>> 0;
  }

  const join = (list) => {
    const out = new Uint8Array(list.reduce((sum, part) => sum + part.length, 0));
    list.reduce((at, part) => { out.set(part, at); return at + part.length; }, 0);
    return out;
  };

  // Files {name: text} -> Uint8Array of a ZIP without compression, dated 1980
  function zip(files) {
    const encode = (words) => new TextEncoder().encode(words), bodies = [], directory = [];
    const little = (...fields) => Uint8Array.from(fields.flatMap(([value, size]) => Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 255)));
    let at = 0;
    for (const [name, words] of Object.entries(files)) {
      const label = encode(name), bytes = encode(words), offset = at;
      const common = [[20, 2], [0x0800, 2], [0, 2], [0, 2], [0x21, 2], [crc32(bytes), 4], [bytes.length, 4], [bytes.length, 4], [label.length, 2], [0, 2]];
      bodies.push(little([0x04034b50, 4], ...common), label, bytes);
      at = bodies.reduce((sum, part) => sum + part.length, 0);
      directory.push(little([0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]), label);
    }
    const list = join(directory), count = Object.keys(files).length;
    return join([...bodies, list, little([0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [list.length, 4], [at, 4], [0, 2])]);
  }

  return { documents, dawproject: (view, chain) => zip(documents(view, chain)) };
})(typeof module !== "undefined" && typeof StylePlan === "undefined" ? require("./plan.js") : StylePlan);

if (typeof module !== "undefined") module.exports = StyleDawproject;
