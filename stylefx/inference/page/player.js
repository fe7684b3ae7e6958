// Three tracks that run together, so that switching keeps the position; the output is the input through the AudioWorklet.
"use strict";

class StylePlayer {
  // tracks: {input: [Float32Array], reference: [Float32Array]}; onReduction(dB) is told what the compressor does
  constructor(sampleRate, tracks, onReduction) {
    this.rate = sampleRate;
    this.tracks = tracks;
    this.onReduction = onReduction;
    this.selected = "output";
    this.gains = { input: 1, output: 1, reference: 1 };
    this.offset = 0;
    this.playing = false;
  }

  static async addWorklet(context) {
    const text = ["dsp-source", "worklet-source"].map((id) => document.getElementById(id).textContent).join("\n");
    // Browsers refuse blob: modules to pages opened from a file, and take data: ones.
    await context.audioWorklet.addModule("data:text/javascript;charset=utf-8," + encodeURIComponent(text));
  }

  static styleNode(context, effects, outputGainDb, channels) {
    return new AudioWorkletNode(context, "style-processor", {
      numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [channels], channelCount: channels,
      channelCountMode: "explicit", processorOptions: { effects, outputGainDb, channels },
    });
  }

  get duration() { return this.tracks.input[0].length / this.rate; }

  get position() {
    if (!this.playing) return this.offset;
    return (this.offset + this.context.currentTime - this.startedAt) % this.duration;
  }

  buffer(context, channels) {
    const buffer = context.createBuffer(channels.length, channels[0].length, this.rate);
    channels.forEach((x, c) => buffer.copyToChannel(x, c));
    return buffer;
  }

  async open(effects, outputGainDb) {
    this.context = new AudioContext({ sampleRate: this.rate });
    await StylePlayer.addWorklet(this.context);
    this.nodes = {};
    for (const name of ["input", "output", "reference"]) {
      this.nodes[name] = this.context.createGain();
      this.nodes[name].gain.value = 0;
      this.nodes[name].connect(this.context.destination);
    }
    this.style = StylePlayer.styleNode(this.context, effects, outputGainDb, this.tracks.input.length);
    this.style.port.onmessage = ({ data }) => this.onReduction(data.reductionDb);
    this.style.connect(this.nodes.output);
  }

  set(effects, outputGainDb) {
    this.style?.port.postMessage({ effects, outputGainDb });
  }

  async play(effects, outputGainDb) {
    if (!this.context) await this.open(effects, outputGainDb);
    await this.context.resume();
    this.sources = Object.entries(this.tracks).map(([name, channels]) => {
      const source = this.context.createBufferSource();
      source.buffer = this.buffer(this.context, channels);
      source.loop = true;
      source.connect(this.nodes[name]);
      if (name === "input") source.connect(this.style);
      source.start(0, this.offset % source.buffer.duration);
      return source;
    });
    this.startedAt = this.context.currentTime;
    this.playing = true;
    this.mix();
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.position;
    this.playing = false;
    this.sources.forEach((source) => source.stop());
    this.onReduction(0);
  }

  async seek(seconds) {
    const resume = this.playing;
    this.pause();
    this.offset = ((seconds % this.duration) + this.duration) % this.duration;
    if (resume) await this.play();
  }

  select(name) {
    this.selected = name;
    this.mix();
  }

  mix() { // 10 ms ramps, so that switching does not click
    if (!this.nodes) return;
    for (const [name, node] of Object.entries(this.nodes)) {
      node.gain.setTargetAtTime(name === this.selected ? this.gains[name] : 0, this.context.currentTime, 0.01);
    }
  }
}
