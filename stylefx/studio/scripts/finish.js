// The last stage (stylefx/inference/rendering/peaks.py): one gain, or the look-ahead limiter, fitted to loudness and true peak.
"use strict";

const StyleFinish = (() => {
  const FULL_SCALE_DBFS = -2e-3, TOLERANCE_DB = 1e-3, RELEASE_MS = 80, PASSES = 6, CLOSE_LU = 0.05, WIDEST_DB = 24, MARGIN_DB = 0.02;
  const MET_WITHIN_LU = 0.5;

  function measured(channels, rate) {
    return { lufs: StyleMeters.lufs(channels, rate), peakDb: 20 * Math.log10(StyleMeters.peak(channels)), truePeakDb: StyleMeters.truePeak(channels) };
  }
  const raised = (r, gainDb) => ({ lufs: r.lufs + gainDb, peakDb: r.peakDb + gainDb, truePeakDb: r.truePeakDb + gainDb });
  const excessDb = (r, ceilingDb) => Math.max(r.truePeakDb - ceilingDb, r.peakDb - FULL_SCALE_DBFS);

  // rendered: the chain's output; wanted: {targetLufs, ceilingDb, maxReductionDb, atMostBelowDb}; limiter: its description
  function fit(rendered, rate, inputLufs, wanted, limiter, onPass) {
    const reading = measured(rendered, rate), target = wanted.targetLufs;
    const gainDb = Number.isFinite(reading.lufs) ? target - reading.lufs : 0, after = raised(reading, gainDb);
    if (excessDb(after, wanted.ceilingDb) <= TOLERANCE_DB) return { gainDb, limiter: null, reading: after, guardDb: 0, reductionDb: 0, held: "", intoDb: gainDb };
    const limit = StyleLimiter.offline(limiter, rendered, rate);
    return search(reading, gainDb, inputLufs, wanted, (settings) => measured(limit(settings), rate), onPass);
  }

  // Gain and ceiling by secants: both act on loudness and true peak nearly decibel by decibel
  function search(before, firstGainDb, inputLufs, wanted, limited, onPass) {
    const highest = Math.min(wanted.ceilingDb, FULL_SCALE_DBFS), peak = before.peakDb;
    const quietest = Math.min(...[inputLufs, wanted.targetLufs].filter(Number.isFinite)) - wanted.atMostBelowDb;
    let gainDb = firstGainDb, ceiling = highest, target = wanted.targetLufs, bound = wanted.maxReductionDb, slope = 1, last = null, held = "";
    let settings, reading, over;
    for (let left = PASSES - 1; left >= 0; left--) {
      onPass(PASSES - left);
      const most = ceiling + bound - peak, atBound = gainDb > most;
      gainDb = Math.min(gainDb, most);
      settings = { gain_db: gainDb, ceiling_db: ceiling, release_ms: RELEASE_MS };
      reading = limited(settings);
      over = reading.truePeakDb - highest;
      let short = Number.isFinite(reading.lufs) ? target - reading.lufs : 0;
      if (atBound && reading.lufs < quietest - CLOSE_LU && bound < WIDEST_DB) {
        held = `the limiter takes more than ${bound} dB only to stay within 10 LU of input or reference`;
        [target, bound, short] = [quietest, WIDEST_DB, quietest - reading.lufs];
      } else if (atBound) {
        held ||= `the limiter may take ${bound} dB at most`;
        short = Math.min(short, 0);
      }
      if (left === 0 || (over <= TOLERANCE_DB && Math.abs(short) <= CLOSE_LU)) break;
      if (last && Math.abs(gainDb - last.gainDb) > 0.05) slope = Math.min(Math.max((reading.lufs - last.lufs) / (gainDb - last.gainDb), 0.3), 1);
      last = { gainDb, lufs: reading.lufs };
      if (over > TOLERANCE_DB) ceiling -= over + MARGIN_DB;
      gainDb += short / slope;
    }
    const rest = over > TOLERANCE_DB ? -over : 0, reductionDb = Math.max(0, peak + gainDb - ceiling);
    return { gainDb: rest, limiter: settings, reading: raised(reading, rest), guardDb: rest, reductionDb, held, intoDb: settings.gain_db };
  }

  // What is said of the loudness in the settings
  function report(finish, targetLufs) {
    const reached = finish.reading.lufs, missed = reached - targetLufs;
    return { target_lufs: targetLufs, reached_lufs: reached, missed_lu: missed, why: Math.abs(missed) > MET_WITHIN_LU ? finish.held : "" };
  }

  return { measured, fit, report };
})();
