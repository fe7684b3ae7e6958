// Runs in the AudioWorklet, after dsp.js: input 0 is the recording; the chain's settings arrive as messages.
"use strict";

class StyleProcessor extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const { effects, outputGainDb, channels } = options.processorOptions;
    this.channels = channels;
    this.chain = StyleDsp.chain(effects, outputGainDb, sampleRate, channels);
    this.rest();
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.chain.set(data.effects, data.outputGainDb);
  }

  rest() { this.largest = { reduction: 0, input: 0, output: 0 }; }

  note(name, value) { this.largest[name] = Math.max(this.largest[name], value); }

  process(inputs, outputs) {
    const output = outputs[0], input = inputs[0];
    const block = output.map((channel, c) => Float64Array.from(input[Math.min(c, input.length - 1)] || channel));
    for (const x of block) for (const v of x) this.note("input", Math.abs(v));
    this.note("reduction", this.chain.process(block.slice(0, this.channels)));
    for (const x of block) for (const v of x) this.note("output", Math.abs(v));
    output.forEach((channel, c) => channel.set(block[Math.min(c, this.channels - 1)]));
    if (++this.blocks % 16 === 0) {
      const { reduction, input: heard, output: made } = this.largest, db = (v) => 20 * Math.log10(v);
      this.port.postMessage({ reductionDb: reduction, inputDb: db(heard), outputDb: db(made) });
      this.rest();
    }
    return true;
  }
}

registerProcessor("style-processor", StyleProcessor);
