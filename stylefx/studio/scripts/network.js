// Weights as safetensors keeps them, and the layers that the solver's networks are made of.
"use strict";

const StyleNetwork = (() => {
  // Bytes of NAME.safetensors -> {name: Float32Array}
  function tensors(buffer) {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))), out = {};
    for (const [name, entry] of Object.entries(header)) {
      if (name === "__metadata__") continue;
      if (entry.dtype !== "F32") throw new Error(`the weights ${name} are ${entry.dtype}; this page reads F32`);
      out[name] = new Float32Array(buffer.slice(8 + length + entry.data_offsets[0], 8 + length + entry.data_offsets[1]));
    }
    return out;
  }

  // y = W x + b; ``name`` is the layer's, a bias is optional
  function linear(weights, name) {
    const matrix = weights[`${name}.weight`], bias = weights[`${name}.bias`];
    return (x) => {
      const size = x.length, out = new Float64Array(matrix.length / size);
      for (let i = 0, k = 0; i < out.length; i++) {
        let sum = bias ? bias[i] : 0;
        for (let j = 0; j < size; j++, k++) sum += matrix[k] * x[j];
        out[i] = sum;
      }
      return out;
    };
  }

  // Error function: its series near zero, a continued fraction beyond (M. Abramowitz, I. Stegun, 7.1.5 and 7.1.14)
  function erf(x) {
    const z = Math.abs(x);
    if (z > 6) return Math.sign(x);
    if (z < 2.5) {
      let term = x, sum = x;
      for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
        term *= (-x * x) / n;
        sum += term / (2 * n + 1);
        if (n > 100) break;
      }
      return (2 / Math.sqrt(Math.PI)) * sum;
    }
    let tail = 0;
    for (let n = 60; n > 0; n--) tail = n / 2 / (z + tail);
    return Math.sign(x) * (1 - Math.exp(-z * z) / ((z + tail) * Math.sqrt(Math.PI)));
  }

  const gelu = (x) => x.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2)));
  const sigmoid = (v) => 1 / (1 + Math.exp(-v));

  // Layers NAME.i with a GELU after each but, where ``open``, the last
  function network(weights, name, places, open) {
    const layers = places.map((i) => linear(weights, `${name}.${i}`));
    return (x) => layers.reduce((y, layer, i) => (open && i === layers.length - 1 ? layer(y) : gelu(layer(y))), x);
  }

  return { tensors, linear, network, erf, sigmoid };
})();

if (typeof module !== "undefined") module.exports = StyleNetwork;
