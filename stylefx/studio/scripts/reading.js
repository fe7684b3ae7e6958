// What the solver reads out of two rows of averages (stylefx/models/solver/reading.py).
"use strict";

const StyleReading = (() => {
  const UNIT_DB = 20, CENTRE_DB = -60, LEVELS = 28, HELD_DB = 62, SOFT_DB = 4, SAME_DB = 0.5, APART_DB = 2, HIGHEST = 0.45, OCTAVES = 0.5;
  const { sigmoid } = StyleNetwork, clamp = (v, low, high) => Math.min(Math.max(v, low), high);

  const withoutMean = (curve) => { const m = StyleNumbers.mean(curve); return curve.map((v) => v - m); };

  // 1 where a band is near the loudest, 0 far below
  function held(level) {
    const top = Math.max(...level);
    return level.map((v) => sigmoid((HELD_DB - UNIT_DB * (top - v)) / SOFT_DB));
  }

  const weightedMean = (values, weights) => {
    let sum = 0, total = 0;
    for (let i = 0; i < values.length; i++) { sum += weights[i] * values[i]; total += weights[i]; }
    return sum / Math.max(total, 1e-3);
  };

  // Where the weight is small: the weighted mean of the points around, the nearer the more
  function filled(curve, weight) {
    return curve.map((v, i) => {
      let sum = 0, total = 0;
      for (let j = 0; j < curve.length; j++) {
        const near = Math.exp(-Math.abs(i - j) / (OCTAVES * 9 / Math.log2(Math.E)));
        sum += weight[j] * curve[j] * near;
        total += (weight[j] + 1e-4) * near;
      }
      return weight[i] * v + ((1 - weight[i]) * sum) / total;
    });
  }

  // options of the encoder, rate of the model, weights by name
  function reading(encoder, rate, weights) {
    const bands = encoder.num_bands, floor = (encoder.floor_db - CENTRE_DB) / UNIT_DB;
    const centres = Float64Array.from({ length: bands }, (_, i) => 40 * Math.pow(500, i / (bands - 1)));
    const pointsHz = centres.filter((f) => f < HIGHEST * rate), points = pointsHz.length, quantiles = (bands / 4) * 3;
    const motionStop = 3 * bands + (bands / 4) * 9;
    const [mean, deviation, apartDeviation] = ["mean", "deviation", "difference_deviation"].map((n) => weights[`controller.reading.${n}`]);
    const halfScaleDb = Float64Array.from(weights["controller.reading.half_scale_db"]);

    function levelled(row) { // levels of the spectra relative to their own mean
      const heard = row.slice(0, points), level = weightedMean(heard, held(heard));
      return row.map((v, i) => (i < 2 * bands || (i >= 3 * bands && i < 3 * bands + quantiles) ? v - level : v));
    }

    function parts(a, b) {
      const [x, y] = [levelled(a), levelled(b)], normal = (v) => clamp(v, -4, 4);
      return [x.map((v, i) => normal((v - mean[i]) / deviation[i])), y.map((v, i) => normal((v - mean[i]) / deviation[i])),
        y.map((v, i) => normal((v - x[i]) / apartDeviation[i]))];
    }
    const joined = (rows, stop) => Float64Array.from(rows.flatMap((row) => Array.from(row.slice(0, stop))));

    function differenceDb(a, b) { // of the mean spectra, without its mean
      const heard = held(a.slice(0, points)), apart = Float64Array.from({ length: points }, (_, i) => UNIT_DB * (b[i] - a[i]));
      const centre = weightedMean(apart, heard);
      return filled(apart.map((v) => v - centre), heard).map((v) => clamp(v, -40, 40));
    }

    function apart(a, b) { // 0 where both are the same, 1 where they differ as recordings do
      const spectrum = StyleNumbers.mean(differenceDb(a, b).map(Math.abs));
      const dynamics = UNIT_DB * StyleNumbers.mean(a.slice(motionStop).map((v, i) => Math.abs(b[motionStop + i] - v)));
      return clamp((Math.max(spectrum, dynamics) - SAME_DB) / (APART_DB - SAME_DB), 0, 1);
    }

    // Of the sum of all bands, each as wide as its frequency says
    const powerLevel = (row) => Math.log10(pointsHz.reduce((sum, f, i) => sum + f * Math.pow(10, (row[i] * UNIT_DB) / 10), 0)) * (10 / UNIT_DB);

    // A row after an equaliser of this response in dB: spectra, and levels over time as far as the whole gets louder or softer
    function equalised(row, responseDb) {
      const curve = Float64Array.from({ length: bands }, (_, i) => responseDb[Math.min(i, points - 1)] / UNIT_DB);
      const fours = Float64Array.from({ length: bands / 4 }, (_, i) => StyleNumbers.mean(curve.slice(4 * i, 4 * i + 4)));
      const raised = Float64Array.from(row, (v, i) => {
        if (i < 2 * bands) return Math.max(v + curve[i % bands], floor);
        return i >= 3 * bands && i < 3 * bands + quantiles ? Math.max(v + fours[(i - 3 * bands) % fours.length], floor) : v;
      });
      const louder = powerLevel(raised) - powerLevel(row);
      return raised.map((v, i) => (i >= motionStop && i < motionStop + LEVELS ? v + louder : v));
    }

    const loudnessApart = (a, b) => clamp(powerLevel(b) - powerLevel(a), -2, 2);

    return {
      pointsHz, halfScaleDb, differenceDb, apart, equalised, loudnessApart,
      shapes: (a, b) => joined(parts(a, b), motionStop), full: (a, b) => joined(parts(a, b)),
    };
  }

  return { reading, withoutMean };
})();
