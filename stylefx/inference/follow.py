"""Settings made for one recording, for another at its own level: thresholds move with it, and the gain makes up for the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stylefx.audio.levels import LevelConvention
from stylefx.effects.levels import at_recording_level
from stylefx.errors import UserError
from stylefx.inference.hearing.windows import analyse
from stylefx.inference.rendering.file import without_limiter
from stylefx.inference.settings_file import StyleSettings


def at_level_of(source: str | Path, style: StyleSettings) -> StyleSettings:
    """The style for ``source``, as if it were raised to the level of the recording that the settings were made for.

    UserError for settings that do not say how their recording was heard (those that people write, or that were made before).
    """
    try:
        how, was_db = style.about["analysis"], float(style.about["input"]["analysis_gain_db"])
        rate, samples, windows = float(how["sample_rate_hz"]), int(how["window_samples"]), int(how["windows"])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            "these settings do not say at which level their recording was heard, so a level cannot be followed; "
            "make them anew with `stylefx transfer`"
        ) from None
    heard = analyse(source, rate, samples, windows, LevelConvention.of(style.about.get("level")))
    more_db = heard.gain_db - was_db
    base = without_limiter(style)
    chain, settings = at_recording_level(base.chain, base.settings, more_db)
    about = {**base.about, "input": {**base.about["input"], "analysis_gain_db": heard.gain_db}}
    return replace(base, chain=chain, settings=settings, output_gain_db=base.output_gain_db + more_db, about=about)
