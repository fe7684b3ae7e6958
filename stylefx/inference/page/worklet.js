// Runs in the AudioWorklet, after dsp.js: input 0 is the recording; the chain's settings arrive as messages.
"use strict";

class StyleProcessor extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const { effects, outputGainDb, channels } = options.processorOptions;
    this.channels = channels;
    this.chain = StyleDsp.chain(effects, outputGainDb, sampleRate, channels);
    this.largest = 0;
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.chain.set(data.effects, data.outputGainDb);
  }

  process(inputs, outputs) {
    const output = outputs[0], input = inputs[0];
    const block = output.map((channel, c) => Float64Array.from(input[Math.min(c, input.length - 1)] || channel));
    this.largest = Math.max(this.largest, this.chain.process(block.slice(0, this.channels)));
    output.forEach((channel, c) => channel.set(block[Math.min(c, this.channels - 1)]));
    if (++this.blocks % 16 === 0) {
      this.port.postMessage({ reductionDb: this.largest });
      this.largest = 0;
    }
    return true;
  }
}

registerProcessor("style-processor", StyleProcessor);
