// The worker: everything that takes longer than a blink. Answers {id, ...} to messages {id, task, ...}.
"use strict";

const NEEDED = ["limiter", "dsp", "meters", "numbers", "resample", "features", "windows", "network", "reading", "solver", "controller",
  "restraint", "finish", "transfer"];
importScripts(...NEEDED.map((name) => `${name}.js`));

const held = {}; // input and reference: what was dropped last, with what was heard of it
let loading = null;

async function load() {
  const answer = async (name) => {
    const response = await fetch(new URL(`../model/${name}`, self.location.href));
    if (!response.ok) throw new Error(`${name} of the model cannot be fetched (${response.status}); export the studio again`);
    return response;
  };
  const model = await (await answer("studio.json")).json(), weights = StyleNetwork.tensors(await (await answer("model.safetensors")).arrayBuffer());
  return { model, controller: StyleController.controller(model, weights), averages: StyleFeatures.averages(model.encoder, model.sampleRate) };
}

const TASKS = {
  async model() { return { model: (await loading).model }; },
  hold({ side, recording }) { held[side] = recording; return {}; },
  async transfer({ intent }, say) {
    const { model, controller, averages } = await loading;
    return StyleTransfer.run(model, controller, averages, held.input, held.reference, intent, say);
  },
  render({ effects, outputGainDb }) { // the whole recording with settings of the page
    return { channels: StyleMeters.render(effects, outputGainDb, held.input.channels, held.input.rate).channels, rate: held.input.rate };
  },
};

self.onmessage = async ({ data }) => {
  try {
    loading ??= load();
    const say = (text) => self.postMessage({ id: data.id, progress: text });
    const result = await TASKS[data.task](data, say);
    self.postMessage({ id: data.id, result }, (result.channels || []).map((x) => x.buffer));
  } catch (error) {
    self.postMessage({ id: data.id, error: error.message });
  }
};
