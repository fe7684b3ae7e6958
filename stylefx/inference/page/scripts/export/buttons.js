// What leaves the page: the settings, the excerpt as heard, and files for other programs.
"use strict";

// view: {data, edits, rate, rendered}
const StyleExports = (() => {
  function save(name, content, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    return name;
  }

  const settings = (view) => JSON.stringify(view.edits.saved(), null, 2) + "\n";

  // What the settings as saved come to for the writers of other programs' files
  function chain(view) {
    const saved = view.edits.saved(), effects = saved.effects.map((entry, i) => {
      const { effect, bands, parameters, config } = view.data.effects[i];
      return { effect, bands, parameters, config, settings: entry.settings, bypass: Boolean(entry.bypass) || entry.mix === 0 };
    });
    return { effects, outputGainDb: saved.output_gain_db, rate: view.data.exports.rate };
  }

  const WRITERS = {
    ffmpeg: StyleScripts.ffmpeg, sox: StyleScripts.sox, "equalizer-apo": StyleScripts.equalizerApo, pedalboard: StyleBoard.pedalboard, lv2: StyleBoard.lv2,
    faust: StyleCode.faust, reaper: StyleCode.reaper, dawproject: StyleDawproject.dawproject,
  };
  // The file for a target: text, or bytes of the one that is an archive
  const written = (view, target) => WRITERS[target](view.data.exports, chain(view));

  // 24-bit WAV of [Float32Array per channel]; what is beyond full scale is clipped, as a fixed-point file has to
  function wav(channels, rate) {
    const count = channels.length, bytes = 3 * count * channels[0].length, view = new DataView(new ArrayBuffer(44 + bytes));
    const text = (at, letters) => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF"); view.setUint32(4, 36 + bytes, true); text(8, "WAVEfmt "); view.setUint32(16, 16, true);
    view.setUint16(20, 1, true); view.setUint16(22, count, true); view.setUint32(24, rate, true);
    view.setUint32(28, 3 * count * rate, true); view.setUint16(32, 3 * count, true); view.setUint16(34, 24, true);
    text(36, "data"); view.setUint32(40, bytes, true);
    let at = 44;
    for (let i = 0; i < channels[0].length; i++) {
      for (const x of channels) {
        const v = Math.round(Math.min(Math.max(x[i], -1), 1 - 2 ** -23) * 8388608);
        view.setUint16(at, v & 0xffff, true);
        view.setInt8(at + 2, v >> 16);
        at += 3;
      }
    }
    return view.buffer;
  }

  function connect(view, say) {
    const { name, exports } = view.data, on = (id, action) => document.getElementById(id).addEventListener("click", () => say(`Saved ${action()}.`));
    on("save", () => save(`${name}-settings.json`, settings(view), "application/json"));
    on("save-wav", () => save(`${name}-excerpt.wav`, wav(view.rendered, view.rate), "audio/wav"));
    for (const [target, { label, suffix, use }] of Object.entries(exports.targets)) {
      const button = Object.assign(document.createElement("button"), { id: `save-${target}`, textContent: label, title: use });
      button.addEventListener("click", () => {
        say(`Writing for ${label} ...`);
        setTimeout(() => { // the words are shown first: a fit takes its time
          try {
            const file = save(`${name}-${target}${suffix}`, written(view, target), "application/octet-stream");
            say(`Saved ${file}: ${use.replace("FILE", file)}.`);
          } catch (error) {
            say(`${label} cannot have these settings: ${error.message}.`);
          }
        }, 20);
      });
      document.getElementById("targets").append(button);
    }
  }

  return { connect, chain, written, save, wav };
})();
