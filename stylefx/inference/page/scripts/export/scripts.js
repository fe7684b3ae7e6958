// What is run on a command line, and Equalizer APO's text: ffmpeg, SoX, pedalboard. Each returns the text that the command writes.
"use strict";

const StyleScripts = ((Dsp, Plan, Fit) => {
  const { number, fixed, general, LN9 } = Plan, FASTEST_MS = 0.02, twelve = (values) => values.map((v) => fixed(v, 12));
  const compressorsOf = (stages) => stages.filter((stage) => stage.is === "compressor");

  function equalizerApo(view, chain) {
    const KINDS = { peak: "PK", low_shelf: "LSC", high_shelf: "HSC", high_pass: "HPQ", low_pass: "LPQ", notch: "NO" };
    const { stages, notes } = Plan.stages(chain, "equalizer-apo"), bands = stages.filter((stage) => stage.is === "band");
    if (!bands.length) throw new Error("equalizer-apo takes equalisers only, and these settings have no band that does anything");
    const gainDb = stages.reduce((sum, stage) => sum + (stage.is === "gain" ? stage.gainDb : 0), 0);
    if (compressorsOf(stages).length) notes.push("The compressor is left out: Equalizer APO has no dynamics. Its make-up gain is left in the preamp.");
    const words = (one) => `${KINDS[one.kind]} Fc ${number(one.cutoffHz)} Hz${/peak|shelf/.test(one.kind) ? ` Gain ${number(one.gainDb)} dB` : ""} Q ${number(one.q)}`;
    const usage = "Use: Include: THIS_FILE in Equalizer APO's config.txt, or import it where an AutoEq preset is taken.";
    return [...Plan.header(view, "equalizer-apo", [usage, ...notes]), `Preamp: ${number(gainDb)} dB`,
      ...bands.map((one, i) => `Filter ${i + 1}: ON ${words(one)}`), ""].join("\r\n");
  }

  // ---- ffmpeg

  const FILTERS = { peak: "equalizer", low_shelf: "lowshelf", high_shelf: "highshelf", high_pass: "highpass", low_pass: "lowpass", notch: "bandreject" };
  const LOWEST_THRESHOLD_DB = -60, MOST_KNEE_DB = 20 * Math.log10(8), MOST_RATIO = 20;
  const volume = (gainDb) => `volume=${number(gainDb)}dB:precision=double`;

  function filters(stage) {
    if (stage.is === "gain") return [volume(stage.gainDb)];
    if (stage.is === "compressor") return acompressor(stage);
    if (stage.sections.length) {
      return stage.sections.map((s) => `biquad=${twelve(s).map((v, i) => `${["b0", "b1", "b2", "a0", "a1", "a2"][i]}=${v}`).join(":")}:r=f64`);
    }
    const gain = /peak|shelf/.test(stage.kind) ? `:g=${number(stage.gainDb)}` : "";
    return [`${FILTERS[stage.kind]}=f=${number(stage.cutoffHz)}:t=q:w=${number(stage.q)}${gain}:r=f64`];
  }

  function acompressor(stage) {
    const shift = Math.max(0, Math.ceil(LOWEST_THRESHOLD_DB - stage.thresholdDb)) - Math.max(0, Math.ceil(stage.thresholdDb));
    const [attack, release] = [stage.attackMs, stage.releaseMs].map((ms) => number(Math.max((ms * 4) / LN9, 0.01)));
    const text = `acompressor=threshold=${number(Math.pow(10, (stage.thresholdDb + shift) / 20))}:ratio=${number(Math.min(stage.ratio, MOST_RATIO))}`
      + `:attack=${attack}:release=${release}:knee=${number(Math.pow(10, Math.min(stage.kneeDb, MOST_KNEE_DB) / 20))}:makeup=1:detection=peak:link=maximum`;
    return shift ? [volume(shift), text, volume(-shift)] : [text];
  }

  function alimiter(limiter, match) {
    const bounded = (v, low, high) => number(Math.min(Math.max(v, low), high));
    return [volume(limiter.gainDb), `alimiter=limit=${bounded(Math.pow(10, limiter.ceilingDb / 20), 0.0625, 1)}:attack=${bounded(Plan.earlyMs(limiter, match), 0.1, 80)}`
      + `:release=${bounded(Plan.releaseMs(limiter, match), 1, 8000)}:level=0:latency=1`];
  }

  function ffmpeg(view, chain) {
    const { stages, limiter, afterDb, notes } = Plan.stages(chain, "ffmpeg", { limits: true }), match = view.limiters.ffmpeg;
    for (const stage of compressorsOf(stages)) {
      notes.push("acompressor smooths the level before its gain curve, stylefx the gain reduction after it: attacks and", "releases have another shape.");
      if (stage.ratio > MOST_RATIO) notes.push(`ratio ${general(stage.ratio, 6)} is beyond ffmpeg's ${MOST_RATIO} and set to that.`);
      if (stage.kneeDb > MOST_KNEE_DB) notes.push(`knee ${general(stage.kneeDb, 6)} dB is beyond ffmpeg's ${fixed(MOST_KNEE_DB, 1)} dB and set to that.`);
    }
    const fits = Fit.compressors(stages, view.rate), texts = fits.stages.flatMap(filters);
    notes.push(...fits.notes);
    if (limiter) {
      texts.push(...alimiter(limiter, match), ...(afterDb ? [volume(afterDb)] : []));
      notes.push(...Plan.limiterNotes(match));
    } else if (!compressorsOf(stages).length) notes.push("Equaliser and gains are the same as in stylefx.");
    const usage = "Use: sh THIS_FILE input.wav output.wav   (or copy the text after -af into your own command)";
    return ["#!/bin/sh", ...Plan.header(view, "ffmpeg", [usage, ...notes]), "case $2 in *.wav) codec='-c:a pcm_s24le' ;; *) codec= ;; esac",
      `exec ffmpeg -nostdin -y -i "$1" -af '${["aformat=sample_fmts=dblp", ...texts].join(",")}' $codec "$2"`, ""].join("\n");
  }

  // ---- SoX: integers that clip at full scale after every effect, so the audio goes down first

  const gainWords = (gainDb) => (gainDb ? [`gain ${number(gainDb)}`] : []);

  function headroomDb(stages, rate) {
    const bands = stages.filter((stage) => stage.is === "band"), list = bands.flatMap((one) => one.sections.length
      ? one.sections.map(([b0, b1, b2, , a1, a2]) => ({ b0, b1, b2, a1, a2 }))
      : Dsp.sections([{ name: "x", kind: one.kind }], { x_gain_db: one.gainDb, x_cutoff_hz: one.cutoffHz, x_q: one.q }, rate));
    let boost = -Infinity;
    for (let i = 0; i < 2048; i++) boost = Math.max(boost, Dsp.responseDb(list, 10 * Math.pow((0.499 * rate) / 10, i / 2047), rate));
    return boost > 0.01 ? Math.ceil(boost + 6) : 0;
  }

  function soxBand(one) {
    if (one.sections.length) return one.sections.map((s) => `biquad ${twelve(s).join(" ")}`);
    const f = number(one.cutoffHz), q = `${number(one.q)}q`, gain = number(one.gainDb);
    return [{ peak: `equalizer ${f} ${q} ${gain}`, low_shelf: `bass ${gain} ${f} ${q}`, high_shelf: `treble ${gain} ${f} ${q}`,
      high_pass: `highpass -2 ${f} ${q}`, low_pass: `lowpass -2 ${f} ${q}`, notch: `bandreject ${f} ${q}` }[one.kind]];
  }

  function compand(stage, thresholdDb) {
    const threshold = Math.min(thresholdDb, -0.01), reach = (Math.cos(Math.atan(1)) + Math.cos(Math.atan(1 / stage.ratio))) / 2;
    const radius = Math.max(stage.kneeDb / 2 / reach, 0.01), low = Math.min(-120, threshold - 2 * radius - 1);
    const curve = [low, low, threshold, threshold, 0, threshold - threshold / stage.ratio].map(number).join(",");
    return `compand ${[stage.attackMs, stage.releaseMs].map((ms) => number(ms / 1000 / LN9)).join(",")} ${number(radius)}:${curve} 0 -120`;
  }

  function soxLimiter(limiter, leftDb, match) {
    const threshold = limiter.ceilingDb - limiter.gainDb - leftDb, top = number(threshold);
    const words = threshold < -0.01 ? [`compand ${number(FASTEST_MS / 1000)},${number(Plan.releaseMs(limiter, match) / 1000)} 0.01:-120,-120,${top},${top},0,${top} 0 -120 ${number(Plan.earlyMs(limiter, match) / 1000)}`] : [];
    return [...words, ...gainWords(leftDb + limiter.gainDb - limiter.ceilingDb), ...gainWords(limiter.ceilingDb)];
  }

  function sox(view, chain) {
    const { stages, limiter, afterDb, notes } = Plan.stages(chain, "sox", { limits: true });
    for (const stage of compressorsOf(stages)) {
      notes.push("compand smooths the level before its gain curve, stylefx the gain reduction after it: attacks and", "releases have another shape; the knee is rounded within 1 dB of ours.");
      if (stage.thresholdDb >= 0) notes.push(`threshold ${general(stage.thresholdDb, 6)} dB is above what SoX can hear; the compressor does nothing.`);
    }
    const fits = Fit.compressors(stages, view.rate), loweredDb = headroomDb(fits.stages, view.rate ?? 48000), effects = gainWords(-loweredDb);
    notes.push(...fits.notes);
    let carried = 0;
    for (const stage of fits.stages) {
      if (stage.is === "gain") carried += stage.gainDb;
      else if (stage.is === "band") effects.push(...soxBand(stage));
      else effects.push(compand(stage, stage.thresholdDb - loweredDb - carried));
    }
    if (limiter) {
      effects.push(...soxLimiter(limiter, loweredDb + carried, view.limiters.sox), ...gainWords(afterDb));
      notes.push(...Plan.limiterNotes(view.limiters.sox));
    } else effects.push(...gainWords(loweredDb + carried));
    notes.push("SoX clips at full scale at the end; it warns when it does.");
    const lines = effects.map((words, i) => `  ${words}${i < effects.length - 1 ? " \\" : ""}`);
    const command = lines.length ? ['exec sox "$1" "$2" \\', ...lines] : ['exec sox "$1" "$2"'];
    return ["#!/bin/sh", ...Plan.header(view, "sox", ["Use: sh THIS_FILE input.wav output.wav", ...notes]), ...command, ""].join("\n");
  }

  return { equalizerApo, ffmpeg, sox, FASTEST_MS, twelve, compressorsOf };
})(...(typeof module !== "undefined" && typeof StyleDsp === "undefined" ? [require("../dsp.js"), require("./plan.js"), require("./fit.js")] : [StyleDsp, StylePlan, StyleFit]));

if (typeof module !== "undefined") module.exports = StyleScripts;
