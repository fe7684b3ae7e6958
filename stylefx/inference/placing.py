"""From a prediction to settings for a recording at its own level, with all that is known of where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stylefx.effects.chain import EffectChain
from stylefx.effects.levels import at_recording_level
from stylefx.inference.distances import distances
from stylefx.inference.hearing.amounts import apply_amounts
from stylefx.inference.hearing.levels import scale_intensity, without_offset
from stylefx.inference.hearing.predict import Prediction, check_weights, confidence
from stylefx.inference.hearing.restraint import bound_boost
from stylefx.inference.hearing.windows import Analysis
from stylefx.inference.options import TransferOptions
from stylefx.inference.settings_file import StyleSettings

if TYPE_CHECKING:
    from stylefx.models.style_transfer import StyleTransferModel

_TENTH = 1.2816  # standard deviations from the median to the 10 and 90 % points of a normal distribution

Settings = list[dict[str, Any]]


def place(
    model: StyleTransferModel, prediction: Prediction, heard: Analysis, styles: Sequence[Analysis], options: TransferOptions
) -> StyleSettings:
    """The prediction bounded where the recording is empty, at the intensity and amounts wished, at the recording's level."""
    bounded, limits = bound_boost(prediction.chain, prediction.chain.settings(prediction.controls), heard, model.sample_rate)
    full = scale_intensity(prediction.chain, bounded, options.intensity)
    used = apply_amounts(prediction.chain, full, options.amounts)
    chain, settings = at_recording_level(prediction.chain, used, heard.gain_db)
    share = check_weights(options.weights, len(styles))
    about: dict[str, Any] = {
        "intent": options.intent or next(iter(model.intents), None),
        "input": about_recording(heard),
        "references": [{**about_recording(s), "weight": w} for s, w in zip(styles, share, strict=True)],
        "level": model.level.to_data(),
        "intensity": options.intensity,
        "confidence": _confidence(prediction, chain, heard, options),
        "distances": distances(model, heard, styles, share, used),
    }
    if limits:
        about["limited"] = [limit.to_dict() for limit in limits]
    if warnings := [sentence for recording in (heard, *styles) for sentence in recording.warnings()]:
        about["warnings"] = warnings
    for name in ("tone_weights", "dynamics_weights"):
        if getattr(options, name):
            about[name] = check_weights(getattr(options, name), len(styles))
    whole = at_recording_level(prediction.chain, full, heard.gain_db)[1]
    if heard.offset:
        whole = without_offset(chain, whole)[1]
        chain, settings = without_offset(chain, settings)
    if options.amounts:
        about |= {"amounts": dict(options.amounts), "full_settings": whole}
    return StyleSettings.of(chain, settings, sample_rate=float(heard.sample_rate), about=about)


def at_wishes(model: StyleTransferModel, controls: np.ndarray, heard: Analysis, options: TransferOptions) -> StyleSettings:
    """What ``place`` makes of controls, without anything said about it."""
    chain = model.chain
    bounded, _ = bound_boost(chain, chain.settings(controls), heard, model.sample_rate)
    used = apply_amounts(chain, scale_intensity(chain, bounded, options.intensity), options.amounts)
    placed, settings = at_recording_level(chain, used, heard.gain_db)
    if heard.offset:
        placed, settings = without_offset(placed, settings)
    return StyleSettings.of(placed, settings, sample_rate=float(heard.sample_rate))


def _confidence(prediction: Prediction, chain: EffectChain, heard: Analysis, options: TransferOptions) -> dict[str, Any]:
    def placed(controls: np.ndarray) -> Settings:
        settings = scale_intensity(prediction.chain, prediction.chain.settings(controls), options.intensity)
        settings = apply_amounts(prediction.chain, settings, options.amounts)
        return at_recording_level(prediction.chain, settings, heard.gain_db)[1]

    doubt_db, likely = None, []
    if prediction.belief is not None:
        doubt_db, spread = float(prediction.belief.scale_db.mean()), prediction.belief.spread.double().cpu().numpy()
        likely = [placed(np.clip(prediction.controls + z * spread, 0, 1)) for z in (-_TENTH, _TENTH)]
    return confidence(chain, [placed(row) for row in prediction.by_window], heard.sample_rate, doubt_db, likely)


def about_recording(heard: Analysis) -> dict[str, Any]:
    return {
        "path": heard.path,
        "sample_rate_hz": heard.sample_rate,
        "channels": heard.channels,
        "seconds": heard.frames / heard.sample_rate,
        "windows_s": [round(w.start_s, 3) for w in heard.windows],
        "analysis_gain_db": heard.gain_db,
    }
