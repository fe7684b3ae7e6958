// A dropped file -> samples at the file's own rate: the browser decodes, but resamples to the rate of its context, so the rate is
// read from the header first.
"use strict";

const StyleFiles = (() => {
  const FALLBACK_RATE = 48000;
  const MP3_RATES = [[11025, 12000, 8000], [], [22050, 24000, 16000], [44100, 48000, 32000]]; // by the two bits of the version

  function rateOf(bytes) {
    const view = new DataView(bytes), text = (at, n) => String.fromCharCode(...new Uint8Array(bytes, at, Math.min(n, bytes.byteLength - at)));
    const head = text(0, 4);
    if (head === "RIFF" || head === "RF64") return waveRate(view, text);
    if (head === "fLaC") return (view.getUint32(18) >>> 12);
    if (head === "OggS") return oggRate(view, text);
    if (text(0, 3) === "ID3" || (view.getUint16(0) & 0xffe0) === 0xffe0) return mp3Rate(view, text);
    if (text(4, 4) === "ftyp") return mp4Rate(view, bytes);
    return 0;
  }

  function waveRate(view, text) {
    for (let at = 12; at + 16 < view.byteLength; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1)) {
      if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
    }
    return 0;
  }

  function oggRate(view, text) {
    const start = 27 + view.getUint8(26);
    if (text(start, 8) === "OpusHead") return 48000;
    return text(start + 1, 6) === "vorbis" ? view.getUint32(start + 12, true) : 0;
  }

  function mp3Rate(view, text) {
    let at = 0;
    if (text(0, 3) === "ID3") at = 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + (view.getUint8(i) & 127), 0);
    for (const end = Math.min(at + 65536, view.byteLength - 4); at < end; at++) {
      if ((view.getUint16(at) & 0xffe0) !== 0xffe0) continue;
      const rate = MP3_RATES[(view.getUint8(at + 1) >> 3) & 3][(view.getUint8(at + 2) >> 2) & 3];
      if (rate && ((view.getUint8(at + 1) >> 1) & 3) !== 0) return rate;
    }
    return 0;
  }

  function mp4Rate(view, bytes) { // the sample entry says it in 16.16
    const all = new Uint8Array(bytes, 0, bytes.byteLength);
    for (let i = 4; i + 36 < all.length; i++) {
      if (all[i] === 0x6d && all[i + 1] === 0x70 && all[i + 2] === 0x34 && all[i + 3] === 0x61) return view.getUint16(i + 28);
    }
    return 0;
  }

  // {name, rate, channels: [Float32Array]}; throws a sentence for what the browser does not decode
  async function open(file) {
    const bytes = await file.arrayBuffer();
    if (bytes.byteLength < 32) throw new Error(`${file.name} is empty; give a recording`);
    const rate = rateOf(bytes) || FALLBACK_RATE;
    let buffer;
    try {
      buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
    } catch {
      throw new Error(`${file.name} cannot be decoded by this browser; give WAV, FLAC, MP3, Ogg or M4A`);
    }
    return { name: file.name, rate: buffer.sampleRate, channels: Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).slice()) };
  }

  return { open, rateOf };
})();

if (typeof module !== "undefined") module.exports = StyleFiles;
