// pedalboard's Python script and LSP's LV2 presets, with the texts of the command's own writers (view.board, view.lv2).
"use strict";

const StyleBoard = ((Plan, Fit, Scripts) => {
  const { number, general, LN9 } = Plan, ROUGH_BELOW_HZ = 150, TIME = (2 * Math.PI) / LN9;
  const CLASSES = { peak: "PeakFilter", low_shelf: "LowShelfFilter", high_shelf: "HighShelfFilter" };

  function impulseEnergy(sections, samples = 4096) {
    const signal = new Float64Array(samples);
    signal[0] = 1;
    for (const [b0, b1, b2, , a1, a2] of sections) {
      let u = 0, v = 0;
      for (let i = 0; i < samples; i++) {
        const x = signal[i], y = b0 * x + u;
        u = b1 * x - a1 * y + v;
        v = b2 * x - a2 * y;
        signal[i] = y;
      }
    }
    return signal.reduce((sum, v) => sum + v * v, 0);
  }

  const compressor = (thresholdDb, ratio, attackMs, releaseMs) =>
    `Compressor(threshold_db=${number(thresholdDb)}, ratio=${number(ratio)}, attack_ms=${number(attackMs)}, release_ms=${number(releaseMs)})`;

  // {alone: works on each channel by itself, text}
  function parts(stage, view, notes) {
    const alone = (text) => ({ alone: true, text });
    if (stage.is === "gain") return [alone(`Gain(${number(stage.gainDb)})`)];
    if (stage.is === "compressor") {
      const knees = Fit.corners(stage).map(([threshold, ratio]) => compressor(threshold, ratio, stage.attackMs * TIME, stage.releaseMs * TIME));
      return [{ alone: false, text: `Linked(${knees.join(", ")})` }];
    }
    if (stage.sections.length) {
      const sections = stage.sections.map((s) => `(${Scripts.twelve(s).join(", ")})`).join(", ");
      return [alone(`Convolution(impulse_response([${sections}]), sample_rate=${number(view.rate)})`), alone(`Gain(${number(10 * Math.log10(64 * impulseEnergy(stage.sections)))})`)];
    }
    if (!CLASSES[stage.kind]) throw new Error(`pedalboard has no ${stage.kind.replace("_", " ")} with a Q (band ${stage.name}); leave the band out`);
    if (stage.cutoffHz < ROUGH_BELOW_HZ) {
      notes.push(`${stage.name}: pedalboard filters in single precision, which is rough at ${Plan.fixed(stage.cutoffHz, 0)} Hz (about -50 dB).`);
    }
    return [alone(`${CLASSES[stage.kind]}(cutoff_frequency_hz=${number(stage.cutoffHz)}, gain_db=${number(stage.gainDb)}, q=${number(stage.q)})`)];
  }

  function limiterParts(limiter, afterDb, view) {
    const match = view.limiters.pedalboard, late = number(Plan.earlyMs(limiter, match) / 1000);
    const wall = compressor(limiter.ceilingDb - limiter.gainDb, view.board.wall, Scripts.FASTEST_MS, Plan.releaseMs(limiter, match));
    const gains = [`Gain(${number(limiter.gainDb)})`, `Clipping(${number(limiter.ceilingDb)})`, ...(afterDb ? [`Gain(${number(afterDb)})`] : [])];
    return [{ alone: false, text: `Linked(${wall}, late=${late})` }, ...gains.map((text) => ({ alone: true, text }))];
  }

  function lines(list) {
    const out = [];
    list.forEach(({ alone, text }, i) => {
      if (!alone) { out.push(`    ${text},`); return; }
      if (i === 0 || !list[i - 1].alone) out.push("    Pedalboard(", "        [");
      out.push(`            ${text},`);
      if (i === list.length - 1 || !list[i + 1].alone) out.push("        ]", "    ),");
    });
    return out;
  }

  function pedalboard(view, chain) {
    const { stages, limiter, afterDb, notes } = Plan.stages(chain, "pedalboard", { limits: true });
    for (const stage of Scripts.compressorsOf(stages)) {
      notes.push("pedalboard's compressor smooths the level before its gain curve, stylefx the gain reduction after it. It works on",
        "each channel by itself, so it is given the louder one and its gain is put on both. Make-up gain is a Gain after it.");
      if (stage.kneeDb) notes.push(`Its knee is hard: the knee of ${general(stage.kneeDb, 6)} dB is two compressors with one each.`);
    }
    const fits = Fit.compressors(stages, view.rate, false);
    notes.push(...fits.notes);
    const list = fits.stages.flatMap((stage) => parts(stage, view, notes));
    if (limiter) {
      list.push(...limiterParts(limiter, afterDb, view));
      notes.push(...Plan.limiterNotes(view.limiters.pedalboard));
    }
    const helpers = (list.some((p) => p.text.startsWith("Convolution")) ? view.board.impulse : "") + (list.some((p) => !p.alone) ? view.board.linked : "");
    const usage = "Use: python THIS_FILE input.wav output.wav   (needs the package pedalboard)";
    const values = { header: Plan.header(view, "pedalboard", [usage, ...notes]).join("\n"), helpers, parts: lines(list).join("\n"),
      names: view.board.names.filter((name) => name === "Pedalboard" || list.some((p) => p.text.includes(name))).join(", ") };
    return view.board.script.replace(/\{(header|names|helpers|parts)\}/g, (_, name) => values[name]);
  }

  // ---- LV2 presets of the Linux Studio Plugins

  const TYPES = { peak: 1, high_pass: 2, high_shelf: 3, low_pass: 4, low_shelf: 5, notch: 6 }, REACH = -Math.log(1 - Math.sqrt(0.5)) / LN9;

  function lv2(view, chain) {
    const { stages, notes } = Plan.stages(chain, "lv2"), fits = Fit.compressors(stages, view.rate), presets = [], last = () => presets[presets.length - 1];
    const add = (uri, ports) => presets.push({ uri, ports, bands: 0 });
    for (const stage of fits.stages) {
      if (stage.is === "band") {
        if (stage.sections.length) throw new Error(`lv2: the band ${stage.name} lies above 0.9 Nyquist of the settings' rate; leave it out`);
        if (!presets.length || last().uri !== view.lv2.equaliser || "g_out" in last().ports || last().bands === 16) add(view.lv2.equaliser, { mode: 0 });
        const values = { ft: TYPES[stage.kind], fm: 6, s: 0, f: stage.cutoffHz, g: Math.pow(10, stage.gainDb / 20), q: stage.q };
        for (const [name, value] of Object.entries(values)) last().ports[`${name}_${last().bands}`] = value;
        last().bands++;
      } else if (stage.is === "compressor") {
        add(view.lv2.compressor, { sct: 0, scm: 0, scs: 5, sla: 0, cm: 0, rrl: 0, mk: 1, al: Math.pow(10, stage.thresholdDb / 20), cr: stage.ratio,
          kn: Math.pow(10, -stage.kneeDb / 2 / 20), at: stage.attackMs * REACH, rt: stage.releaseMs * REACH });
      } else {
        if (!presets.length) add(view.lv2.equaliser, { mode: 0 });
        last().ports.g_out = (last().ports.g_out ?? 1) * Math.pow(10, stage.gainDb / 20);
      }
    }
    const usage = ["Use: copy this file as manifest.ttl into a new folder ~/.lv2/NAME.lv2 and choose the presets in the plug-ins",
      "that are named, in this order. Needs the Linux Studio Plugins (LSP)."];
    const words = view.title.replaceAll("\\", "/").replaceAll('"', "'");
    const turtle = ({ uri, ports }, i) => [
      `<urn:stylefx:preset:${i + 1}> a pset:Preset ; lv2:appliesTo <${uri}> ; rdfs:label "${words} ${i + 1}" ; lv2:port`,
      `${Object.entries(ports).map(([name, value]) => `  [ lv2:symbol "${name}" ; pset:value ${Plan.fixed(value, 9)} ]`).join(" ,\n")} .`, ""];
    return [...Plan.header(view, "lv2", [...usage, ...notes, ...fits.notes]), ...view.lv2.prefixes, "", ...presets.flatMap(turtle)].join("\n");
  }

  return { pedalboard, lv2 };
})(...(typeof module !== "undefined" && typeof StylePlan === "undefined" ? [require("./plan.js"), require("./fit.js"), require("./scripts.js")] : [StylePlan, StyleFit, StyleScripts]));

if (typeof module !== "undefined") module.exports = StyleBoard;
