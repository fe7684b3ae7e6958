// Input and reference -> settings at the input's own level, as `stylefx transfer` writes them, and what the page shows beside.
"use strict";

const StyleTransfer = (() => {
  const LEVELS = /(threshold_db|ceiling_db)$/, CURVE_POINTS = 96, GOOD_DB = 1.5, FAIR_DB = 4;
  const { mean, percentile, spread } = StyleNumbers;

  // ---- what is heard of a recording, kept with it for the next transfer

  function hear(recording, model, averages) {
    if (recording.heard) return recording.heard;
    const heard = StyleWindows.analyse(recording, model);
    const rows = heard.windows.map(({ audio }) => averages(audio));
    heard.rows = rows;
    heard.row = rows[0].map((_, i) => mean(rows.map((row) => row[i])));
    return (recording.heard = heard);
  }

  const loudness = (recording) => (recording.lufs ??= StyleMeters.lufs(recording.channels, recording.rate));

  // ---- from the model's level to the recording's

  function placed(effects, settings, gainDb) {
    return settings.map((values, i) => Object.fromEntries(Object.entries(values).map(([name, v]) =>
      [name, effects[i].effect !== "parametric_eq" && LEVELS.test(name) ? v - gainDb : v])));
  }

  // An offset goes through a high pass, after an equaliser that comes first
  function withoutOffset(model, effects, settings) {
    const at = effects[0]?.effect === "parametric_eq" ? 1 : 0, high = model.offset;
    const values = Object.fromEntries(high.parameters.map((p) => [p.name, high.settings[p.name] ?? p.default]));
    return [effects.toSpliced(at, 0, high), settings.toSpliced(at, 0, values)];
  }

  // ---- how far windows agree

  function curveOf(effect, values, rate) {
    if (effect.bands) {
      const list = StyleDsp.sections(effect.bands, values, rate), step = Math.log(16000 / 30) / (CURVE_POINTS - 1);
      return Array.from({ length: CURVE_POINTS }, (_, i) => 30 * Math.exp(i * step)).filter((f) => f < 0.45 * rate)
        .map((f) => StyleDsp.responseDb(list, f, rate));
    }
    if (effect.effect !== "compressor") return null;
    const curve = Array.from({ length: 61 }, (_, i) => i - 60 - StyleDsp.reductionDb(i - 60, values)), centre = mean(curve);
    return curve.map((v) => v - centre);
  }

  function confidence(effects, byWindow, rate, doubtDb) {
    const names = effects.map((e) => e.effect), spans = {}, spreads = {};
    effects.forEach((effect, i) => {
      const values = byWindow.map((settings) => settings[i]), curves = values.map((v) => curveOf(effect, v, rate));
      const key = names.filter((n) => n === effect.effect).length === 1 ? effect.effect : `${i}.${effect.effect}`;
      spans[key] = Object.fromEntries(effect.parameters.map((p) => [p.name, [10, 90].map((q) => percentile(values.map((v) => v[p.name]), q))]));
      if (curves[0]) spreads[key] = mean(curves[0].map((_, k) => spread(curves.map((c) => c[k]))));
    });
    const worst = Math.max(...Object.values(spreads), doubtDb);
    return { windows: byWindow.length, agreement: worst < GOOD_DB ? "good" : worst < FAIR_DB ? "fair" : "poor",
      curve_spread_db: spreads, span_10_90: spans, model_doubt_db: doubtDb };
  }

  // ---- the whole

  function predicted(model, controller, input, reference, intent) {
    const { controls, doubtDb } = controller.predict(input.row, reference.row, intent);
    const windows = [...input.rows.map((row) => [row, reference.row]), ...reference.rows.map((row) => [input.row, row])];
    const { settings, limited } = StyleRestraint.bound(model.effects, controller.settings(controls), input, model.sampleRate);
    const byWindow = windows.map(([a, b]) => placed(model.effects, controller.settings(controller.predict(a, b, intent).controls), input.gainDb));
    let effects = model.effects, values = placed(effects, settings, input.gainDb);
    const sure = confidence(effects, byWindow, input.rate, doubtDb);
    if (input.offset) [effects, values] = withoutOffset(model, effects, values);
    return { effects: effects.map((e, i) => ({ ...e, settings: values[i], bypass: false })), limited, confidence: sure };
  }

  const aboutRecording = (heard) => ({ path: heard.name, sample_rate_hz: heard.rate, channels: heard.channels, seconds: heard.seconds,
    windows_s: heard.windows.map((w) => Math.round(1000 * w.startS) / 1000), analysis_gain_db: heard.gainDb });

  function document(model, found, input, reference, intent, finish, outcome, inputLufs) {
    const about = {
      model: { checkpoint: model.name, sha256: model.sha256 },
      analysis: { sample_rate_hz: model.sampleRate, window_samples: model.windowSamples, windows: model.windows },
      intent, input: aboutRecording(input), references: [{ ...aboutRecording(reference), weight: 1 }], level: model.level, intensity: 1,
      confidence: found.confidence,
      gains: { loudness_match_db: finish.intoDb, true_peak_guard_db: finish.guardDb, limiter_takes_at_most_db: finish.reductionDb },
      loudness: outcome, input_lufs: inputLufs,
      output: { lufs: finish.reading.lufs, peak_dbfs: finish.reading.peakDb, true_peak_dbtp: finish.reading.truePeakDb },
    };
    if (found.limited.length) about.limited = found.limited;
    const warnings = [input, reference].flatMap(StyleWindows.warnings);
    if (warnings.length) about.warnings = warnings;
    if (finish.limiter) about.last_limiter = true;
    return { format: "stylefx-settings", version: 1, made_by: model.madeBy, sample_rate_hz: input.rate, output_gain_db: finish.gainDb, about };
  }

  const entry = ({ effect, config, settings, parameters }) =>
    ({ effect, config, settings, units: Object.fromEntries(parameters.map((p) => [p.name, p.unit])) });

  function notes(found, finish, outcome, warnings) {
    const out = [...warnings], signed = (v) => (v < 0 ? "" : "+") + v.toFixed(2), where = finish.limiter ? "gain of the limiter" : "output gain";
    if (outcome.why) out.push(`The loudness that was asked is missed: ${outcome.why}.`);
    if (finish.guardDb) out.push(`The true-peak guard took ${signed(finish.guardDb)} dB off the whole output; it is part of the output gain.`);
    out.push(`The loudness match is ${signed(finish.intoDb)} dB; it is part of the ${where}.`);
    if (finish.reductionDb) out.push(`The limiter takes ${finish.reductionDb.toFixed(1)} dB at most.`);
    return [...out, ...found.limited.map(StyleRestraint.line)];
  }

  // input, reference: {name, rate, channels}; say(text) is told what is going on. Returns what the page needs of the transfer.
  function run(model, controller, averages, input, reference, intent, say) {
    say("listening to the recordings");
    const [a, b] = [input, reference].map((recording) => hear(recording, model, averages));
    say("predicting the settings");
    const found = predicted(model, controller, a, b, intent);
    say("measuring loudness");
    const [inputLufs, targetLufs] = [input, reference].map(loudness);
    say("rendering the whole recording");
    const rendered = StyleMeters.render(found.effects, 0, input.channels, input.rate).channels;
    const wanted = { targetLufs, ceilingDb: model.ceilingDb, maxReductionDb: model.peakReductionDb, atMostBelowDb: model.atMostBelowDb };
    const finish = StyleFinish.fit(rendered, input.rate, inputLufs, wanted, model.limiter, (pass) => say(`fitting the limiter, pass ${pass}`));
    const outcome = StyleFinish.report(finish, targetLufs), settings = document(model, found, a, b, intent, finish, outcome, inputLufs);
    const effects = finish.limiter ? [...found.effects, { ...model.limiter, settings: finish.limiter, bypass: false }] : found.effects;
    return {
      effects, outputGainDb: finish.gainDb, document: { ...settings, effects: effects.map(entry) },
      facts: notes(found, finish, outcome, settings.about.warnings || []), agreement: found.confidence,
      whole: { input: { lufs: inputLufs }, reference: { lufs: targetLufs }, output: { lufs: finish.reading.lufs, true_peak_dbtp: finish.reading.truePeakDb } },
    };
  }

  return { run };
})();
