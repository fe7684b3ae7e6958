// Three tracks that run together, so that switching keeps the position; the output is the input through the AudioWorklet.
"use strict";

class StylePlayer {
  // tracks: {input: [Float32Array], reference: [Float32Array]}; onMeter({reductionDb, inputDb, outputDb}) is told what is going on
  constructor(sampleRate, tracks, onMeter) {
    this.rate = sampleRate;
    this.tracks = tracks;
    this.onMeter = onMeter;
    this.selected = "output";
    this.gains = { input: 1, output: 1, reference: 1 };
    this.offset = 0;
    this.playing = false;
  }

  // {input, reference}: {flac, channels, gainDb} as they are embedded -> [Float32Array per channel] each
  static async decoded(audio, rate) {
    const tracks = {};
    for (const [name, { flac, channels, gainDb }] of Object.entries(audio)) {
      const bytes = Uint8Array.from(atob(flac), (c) => c.charCodeAt(0)), factor = Math.pow(10, gainDb / 20);
      const buffer = await new OfflineAudioContext(channels, 1, rate).decodeAudioData(bytes.buffer);
      tracks[name] = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).map((v) => v * factor));
    }
    return tracks;
  }

  static async addWorklet(context) {
    const text = ["limiter-source", "dsp-source", "worklet-source"].map((id) => document.getElementById(id).textContent).join("\n");
    // Browsers refuse blob: modules to pages opened from a file, and take data: ones.
    await context.audioWorklet.addModule("data:text/javascript;charset=utf-8," + encodeURIComponent(text));
  }

  static styleNode(context, heard, channels) {
    return new AudioWorkletNode(context, "style-processor", {
      numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [channels], channelCount: channels,
      channelCountMode: "explicit", processorOptions: { ...StylePlayer.plain(heard), channels },
    });
  }

  // Only what a chain needs, and what can be posted to another thread
  static plain({ effects, outputGainDb }) {
    return { effects: effects.map(({ effect, bands, config, settings, bypass }) => ({ effect, bands, config, settings, bypass })), outputGainDb };
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

  async open(heard) {
    this.context = new AudioContext({ sampleRate: this.rate });
    await StylePlayer.addWorklet(this.context);
    const latencyS = StyleDsp.chain(heard.effects, 0, this.rate, 1).latency / this.rate;
    this.nodes = {};
    this.entries = {};
    for (const name of ["input", "output", "reference"]) {
      this.nodes[name] = this.context.createGain();
      this.nodes[name].gain.value = 0;
      this.nodes[name].connect(this.context.destination);
      // what has no look-ahead waits for what has, so that switching keeps the place to the sample
      const wait = name === "output" ? null : new DelayNode(this.context, { delayTime: latencyS, maxDelayTime: 1 });
      this.entries[name] = wait || this.nodes[name];
      wait?.connect(this.nodes[name]);
    }
    this.style = StylePlayer.styleNode(this.context, heard, this.tracks.input.length);
    this.style.port.onmessage = ({ data }) => { if (this.playing) this.onMeter(data); };
    this.style.connect(this.nodes.output);
  }

  set(heard) {
    this.style?.port.postMessage(StylePlayer.plain(heard));
  }

  async play(heard) {
    if (!this.context) await this.open(heard);
    await this.context.resume();
    this.sources = Object.entries(this.tracks).map(([name, channels]) => {
      const source = this.context.createBufferSource();
      source.buffer = this.buffer(this.context, channels);
      source.loop = true;
      source.connect(this.entries[name]);
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
    this.onMeter({ reductionDb: 0, inputDb: -Infinity, outputDb: -Infinity });
  }

  close() {
    this.pause();
    this.context?.close();
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
