"""Input, references and model -> settings at the input's own level -> output file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio.reading import open_blocks
from stylefx.errors import UserError
from stylefx.files.atomic import check_free, check_writable
from stylefx.inference.choices import DEFAULT_WINDOWS
from stylefx.inference.hearing.apart import predict_apart
from stylefx.inference.hearing.predict import check_weights
from stylefx.inference.hearing.remembered import Remembered
from stylefx.inference.hearing.windows import Analysis, analyse, check_channels
from stylefx.inference.options import TransferOptions
from stylefx.inference.placing import place
from stylefx.inference.rendering.file import Loudness, OnFrames, Rendered, output_subtype, render_file
from stylefx.inference.rendering.meter import Meter
from stylefx.inference.settings_file import StyleSettings, load_settings
from stylefx.models.checkpoint import SHIPPED, load_model, read_card

SEGMENT_SAMPLES = 131072
QUIETER_BY_LU = 9.5  # than the quieter of input and reference is the least that a default output may be
OnStep = Callable[[int], None]  # steps of refinement done


@dataclass(frozen=True)
class Transferred:
    """The result of one transfer: the settings as written, and what was rendered."""

    style: StyleSettings
    rendered: Rendered
    output: Path
    settings_file: Path


class StyleTransfer:
    """A loaded model, by default the one that comes with stylefx, and the references heard last, by their content (a folder of
    inputs analyses them once, a reference that changed is heard again)."""

    def __init__(self, checkpoint: str | Path = SHIPPED, device: str = "cpu"):
        self.checkpoint = Path(checkpoint)
        self.model = load_model(checkpoint, device=device).eval()
        card = read_card(checkpoint)
        self._sha256 = card["sha256"]
        self._segment = int(card.get("segment_samples", SEGMENT_SAMPLES))  # what the model heard in training
        self._remembered = Remembered()

    @classmethod
    def from_pretrained(cls, name: str | Path, revision: str | None = None, device: str = "cpu") -> StyleTransfer:
        """A model from a folder, or from a hub by its name there, ``user/name``."""
        if Path(name).exists():
            return cls(name, device)
        from stylefx.models.hub import pull_from_hub

        return cls(pull_from_hub(str(name), revision), device)

    def hear(self, path: str | Path, windows: int = DEFAULT_WINDOWS) -> Analysis:
        """The windows of a recording as the model sees them."""
        return analyse(path, self.model.sample_rate, self._segment, windows, self.model.level)

    def reference(self, path: str | Path, windows: int = DEFAULT_WINDOWS) -> Analysis:
        """``hear``, kept for the next time by the content of the file."""
        heard = self._remembered.ask(path, windows, lambda p: self.hear(p, windows))
        return replace(heard, path=str(path))

    def _loudness_of(self, path: str | Path) -> float:
        return self._remembered.ask(path, "lufs", loudness_of)

    def settings(
        self,
        source: str | Path,
        references: Sequence[str | Path],
        options: TransferOptions | None = None,
        on_step: OnStep | None = None,
    ) -> StyleSettings:
        """Settings that bring ``source`` to the style of the references, at the level of ``source``; nothing is rendered."""
        options = options or TransferOptions()
        options.check()
        references = as_paths(references)
        heard = self.hear(source, options.windows)
        return self.settings_for(heard, [self.reference(r, options.windows) for r in references], options, on_step)

    def settings_for(
        self, heard: Analysis, styles: list[Analysis], options: TransferOptions, on_step: OnStep | None = None
    ) -> StyleSettings:
        """``settings`` for what was heard already."""
        tone, dynamics = (weights or options.weights for weights in (options.tone_weights, options.dynamics_weights))
        prediction = predict_apart(self.model, heard, styles, tone, dynamics, options.intent)
        refined = None
        if options.refine_steps:
            from stylefx.inference.refine import refine

            how = options.refine_steps, self._intent(options), on_step, options.refine_to
            refined = refine(self.model, prediction, heard, styles, options.weights, *how)
            prediction = replace(prediction, controls=refined.controls)
        style = place(self.model, prediction, heard, styles, options)
        found = {"model": self.identity(), "analysis": self._how_heard(options)}
        if refined is not None:
            found["refine"] = refined.to_dict()
        return replace(style, about={**found, **style.about})

    def _how_heard(self, options: TransferOptions) -> dict[str, Any]:
        """What it takes to hear another recording alike, as `render --follow-level` does."""
        return {"sample_rate_hz": self.model.sample_rate, "window_samples": self._segment, "windows": options.windows}

    def _intent(self, options: TransferOptions) -> str | None:
        """The intent that is meant; None where the model knows one answer."""
        return options.intent or next(iter(self.model.intents), None)

    def identity(self) -> dict[str, Any]:
        """Which model it was: its path, and the digest that its checkpoint carries."""
        return {"checkpoint": str(self.checkpoint), "sha256": self._sha256}

    def transfer(
        self,
        source: str | Path,
        references: Sequence[str | Path],
        output: str | Path,
        options: TransferOptions | None = None,
        *,
        settings_file: str | Path | None = None,
        progress: OnFrames | None = None,
        on_step: OnStep | None = None,
        overwrite: bool = False,
        keep_tags: bool = True,
        job: str | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Transferred:
        """Write ``source`` in the style of the references to ``output`` and the settings beside it (``output`` with .json).

        ``job``: a digest that the settings carry, by which whoever resumes knows the output; ``names``: what the settings call
        paths that are copies of something else. UserError in one sentence for bad input, and for files that exist unless
        ``overwrite``; neither file appears then.
        """
        options, output = options or TransferOptions(), Path(output)
        options.check()
        settings_file = Path(settings_file) if settings_file else output.with_suffix(".json")
        output_subtype(output, options.bits)
        check_writable(output)
        check_writable(settings_file)
        for reference in as_paths(references):
            if output.exists() and Path(reference).exists() and output.samefile(reference):
                raise UserError(f"{output} is a reference; choose another name for the output")
        if output.exists() and Path(source).exists() and output.samefile(source):
            raise UserError(f"{output} is the input itself; choose another name for the output")
        check_free(output, overwrite)
        settings_file = check_free(settings_file, overwrite)
        _check_not_foreign(settings_file)
        style = self.settings(source, references, options, on_step)
        if names:
            style = replace(style, about=_renamed(style.about, names))
        loudness = self._loudness(source, as_paths(references), options)
        if job is not None:
            style = replace(style, about={**style.about, "job": job})
        rendered = render_file(
            source,
            style,
            output,
            bits=options.bits,
            loudness=loudness,
            progress=progress,
            overwrite=overwrite,
            keep_tags=keep_tags,
        )
        style = with_gains(rendered)
        try:
            style.save(settings_file)
        except BaseException:
            with suppress(OSError):  # the first error says why
                output.unlink(missing_ok=True)
            raise
        return Transferred(style, rendered, output, settings_file)

    def _loudness(self, source: str | Path, references: list[str | Path], options: TransferOptions) -> Loudness:
        wanted = options.last_stage()
        if options.loudness == "as-is":
            return wanted
        if options.loudness == "input":
            return replace(wanted, target_lufs=self._loudness_of(source), at_most_below_db=QUIETER_BY_LU)
        if options.loudness == "reference":
            lufs = self.target_lufs(references, options.weights)
            return replace(wanted, target_lufs=lufs, at_most_below_db=QUIETER_BY_LU)
        return replace(wanted, target_lufs=float(options.loudness))

    def target_lufs(self, references: Sequence[str | Path], weights: Sequence[float]) -> float:
        """The weighted mean loudness of the references, LUFS."""
        share = check_weights(weights, len(references))
        return float(sum(w * self._loudness_of(r) for w, r in zip(share, references, strict=True)))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Plain data with other names for paths, also inside sentences."""
    if isinstance(value, dict):
        return {key: _renamed(v, names) for key, v in value.items()}
    if isinstance(value, list):
        return [_renamed(v, names) for v in value]
    if isinstance(value, str):
        for path, name in names.items():
            value = value.replace(path, name)
    return value


def as_paths(references: Sequence[str | Path] | str | Path) -> list[str | Path]:
    paths = [references] if isinstance(references, str | Path) else list(references)
    if not paths:
        raise UserError("no reference was given; name at least one recording whose style is wanted")
    return paths


def with_gains(rendered: Rendered) -> StyleSettings:
    """The rendered settings, with what the loudness and the peaks added told apart."""
    gains = {
        "loudness_match_db": rendered.loudness_gain_db,
        "true_peak_guard_db": rendered.guard_gain_db,
        "limiter_takes_at_most_db": rendered.limiter_db,
    }
    output = {k: v if np.isfinite(v) else None for k, v in asdict(rendered.output).items()}
    style = rendered.style
    about: dict[str, Any] = {"gains": gains, "loudness": rendered.loudness.to_dict(), "output": output}
    if rendered.damage:
        told = f"the input is damaged and what can be decoded of it was rendered: {rendered.damage}"
        about["warnings"] = [*style.about.get("warnings", ()), told]
    if np.isfinite(rendered.input_lufs):
        about["input_lufs"] = rendered.input_lufs
    return style.with_gain(style.output_gain_db, **about)


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
