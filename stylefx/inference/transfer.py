"""Input, references and model -> settings at the input's own level -> output file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from stylefx.audio.reading import open_blocks
from stylefx.errors import StylefxError, UserError
from stylefx.inference.levels import MAX_INTENSITY, at_recording_level, scale_intensity
from stylefx.inference.meter import Meter
from stylefx.inference.predict import Prediction, check_weights, confidence, predict
from stylefx.inference.publish import check_writable
from stylefx.inference.rendering import DEFAULT_CEILING_DBTP, Loudness, Progress, Rendered, output_subtype, render_file
from stylefx.inference.settings_file import StyleSettings, load_settings
from stylefx.inference.windows import Analysis, analyse, check_channels
from stylefx.models.checkpoint import SHIPPED, load_model, read_card

DEFAULT_WINDOWS = 8
_SEGMENT_SAMPLES = 131072


@dataclass(frozen=True)
class Options:
    """How a style is applied.

    ``intensity`` 0..1.5 scales it; ``refine_steps`` > 0 improves the prediction by gradient steps; ``loudness`` is "as-is"
    (as the chain leaves it), "input", "reference" or a target in LUFS; ``ceiling_dbtp`` None switches the true-peak guard off;
    ``bits`` is "16", "24", "float" or None (as fits the input); ``windows`` is how many are listened to per recording.
    """

    weights: tuple[float, ...] = ()
    intensity: float = 1.0
    refine_steps: int = 0
    loudness: str | float = "as-is"
    ceiling_dbtp: float | None = DEFAULT_CEILING_DBTP
    bits: str | None = None
    windows: int = DEFAULT_WINDOWS


@dataclass(frozen=True)
class Transferred:
    """The result of one transfer: the settings as written, and what was rendered."""

    style: StyleSettings
    rendered: Rendered
    output: Path
    settings_file: Path


class StyleTransfer:
    """A loaded model, by default the one that comes with stylefx, and the references heard so far (a folder of inputs
    analyses them once)."""

    def __init__(self, checkpoint: str | Path = SHIPPED, device: str = "cpu"):
        self.checkpoint = Path(checkpoint)
        self.model = load_model(checkpoint, device=device).eval()
        card = read_card(checkpoint)
        self._sha256 = card["sha256"]
        self._segment = int(card.get("segment_samples", _SEGMENT_SAMPLES))  # what the model heard in training
        self._heard: dict[tuple[str, int], Analysis] = {}

    def hear(self, path: str | Path, windows: int = DEFAULT_WINDOWS) -> Analysis:
        """The windows of a recording as the model sees them."""
        return analyse(path, self.model.sample_rate, self._segment, windows)

    def _reference(self, path: str | Path, windows: int) -> Analysis:
        key = (str(path), windows)
        if key not in self._heard:
            self._heard[key] = self.hear(path, windows)
        return self._heard[key]

    def settings(self, source: str | Path, references: Sequence[str | Path], options: Options | None = None) -> StyleSettings:
        """Settings that bring ``source`` to the style of the references, at the level of ``source``; nothing is rendered."""
        options = options or Options()
        _check(options)
        references = as_paths(references)
        heard = self.hear(source, options.windows)
        styles = [self._reference(r, options.windows) for r in references]
        prediction = predict(self.model, heard, styles, options.weights)
        refined = None
        if options.refine_steps:
            from stylefx.inference.refine import refine

            refined = refine(self.model, prediction, heard, styles, options.weights, options.refine_steps)
            prediction = replace(prediction, controls=refined.controls)
        return self._at_level(prediction, heard, styles, options, None if refined is None else refined.to_dict())

    def _at_level(
        self, prediction: Prediction, heard: Analysis, styles: list[Analysis], options: Options, refined: dict | None
    ) -> StyleSettings:
        def placed(controls: np.ndarray):
            settings = scale_intensity(prediction.chain, prediction.chain.settings(controls), options.intensity)
            return at_recording_level(prediction.chain, settings, heard.gain_db)

        chain, settings = placed(prediction.controls)
        by_window = [placed(row)[1] for row in prediction.by_window]
        about = {
            "model": self.identity(),
            "input": _about(heard),
            "references": [
                {**_about(s), "weight": w} for s, w in zip(styles, check_weights(options.weights, len(styles)), strict=True)
            ],
            "intensity": options.intensity,
            "confidence": confidence(chain, by_window, heard.sample_rate),
        }
        if refined:
            about["refine"] = refined
        return StyleSettings.of(chain, settings, sample_rate=float(heard.sample_rate), about=about)

    def identity(self) -> dict:
        """Which model it was: its path, and the digest that its checkpoint carries."""
        return {"checkpoint": str(self.checkpoint), "sha256": self._sha256}

    def transfer(
        self,
        source: str | Path,
        references: Sequence[str | Path],
        output: str | Path,
        options: Options | None = None,
        *,
        settings_file: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Transferred:
        """Write ``source`` in the style of the references to ``output`` and the settings beside it (``output`` with .json).

        UserError in one sentence for bad input; neither file appears then.
        """
        options, output = options or Options(), Path(output)
        _check(options)
        settings_file = Path(settings_file) if settings_file else output.with_suffix(".json")
        output_subtype(output, options.bits)
        check_writable(output)
        check_writable(settings_file)
        _check_not_foreign(settings_file)
        for reference in as_paths(references):
            if output.exists() and Path(reference).exists() and output.samefile(reference):
                raise UserError(f"{output} is a reference; choose another name for the output")
        style = self.settings(source, references, options)
        loudness = Loudness(self._target_lufs(source, as_paths(references), options), options.ceiling_dbtp)
        rendered = render_file(source, style, output, bits=options.bits, loudness=loudness, progress=progress)
        style = with_gains(rendered)
        try:
            style.save(settings_file)
        except StylefxError:
            output.unlink(missing_ok=True)
            raise
        return Transferred(style, rendered, output, settings_file)

    def _target_lufs(self, source: str | Path, references: list[str | Path], options: Options) -> float | None:
        if options.loudness == "as-is":
            return None
        if options.loudness == "input":
            return loudness_of(source)
        if options.loudness == "reference":
            share = check_weights(options.weights, len(references))
            return float(sum(w * loudness_of(r) for w, r in zip(share, references, strict=True)))
        return float(options.loudness)


def as_paths(references: Sequence[str | Path] | str | Path) -> list[str | Path]:
    paths = [references] if isinstance(references, str | Path) else list(references)
    if not paths:
        raise UserError("no reference was given; name at least one recording whose style is wanted")
    return paths


def with_gains(rendered: Rendered) -> StyleSettings:
    """The rendered settings, with the gains after the chain told apart."""
    gains = {"loudness_match_db": rendered.loudness_gain_db, "true_peak_guard_db": rendered.guard_gain_db}
    output = {k: v if np.isfinite(v) else None for k, v in asdict(rendered.output).items()}
    return rendered.style.with_gain(rendered.style.output_gain_db, gains=gains, output=output)


def loudness_of(path: str | Path) -> float:
    """Integrated loudness of a recording, LUFS; UserError where it is not defined."""
    with open_blocks(path) as reader:
        check_channels(reader.name, reader.channels)
        meter = Meter(reader.sample_rate, reader.channels, true_peak=False)
        for block in reader:
            meter(block)
    lufs = meter.reading().lufs
    if not np.isfinite(lufs):
        raise UserError(f"{path} has no loudness (silent or shorter than 0.4 s); give a loudness in LUFS instead")
    return lufs


def _check_not_foreign(settings_file: Path) -> None:
    """Settings may replace settings, not a model's card or anything else that is called alike."""
    if settings_file.exists():
        try:
            load_settings(settings_file)
        except UserError as error:
            raise UserError(f"{settings_file} exists and holds no settings; name another file with --settings") from error


def _about(heard: Analysis) -> dict:
    return {
        "path": heard.path,
        "sample_rate_hz": heard.sample_rate,
        "channels": heard.channels,
        "seconds": heard.frames / heard.sample_rate,
        "windows_s": [round(w.start_s, 3) for w in heard.windows],
        "analysis_gain_db": heard.gain_db,
    }


def _check(options: Options) -> None:
    if not 0.0 <= options.intensity <= MAX_INTENSITY:
        raise UserError(f"intensity is {options.intensity}; give a number in 0..{MAX_INTENSITY}")
    if options.windows < 1:
        raise UserError(f"{options.windows} windows cannot be listened to; give 1 or more")
    if options.refine_steps < 0:
        raise UserError(f"refine is {options.refine_steps}; give a number of steps, 0 or more")
    if isinstance(options.loudness, str) and options.loudness not in ("as-is", "input", "reference"):
        raise UserError(f"loudness is {options.loudness!r}; give as-is, input, reference or a number in LUFS")
