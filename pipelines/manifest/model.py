"""The manifest: one YAML file that says everything about a corpus, as validated models.

Unknown keys are errors that name the near miss and the place in the file.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.manifest.sources import Source, without_credentials
from stylefx.audio.augment import is_plugin
from stylefx.files.endings import LIBAV_SUFFIXES
from stylefx.foreign import OWN
from stylefx.keyed import hex_digest
from stylefx.plugins import AUGMENTATIONS, EFFECTS, PLUGIN, SOURCES, check_installed, check_listed, normalised
from stylefx.recipes.chains import AudiomentationsStep, Chains, EffectStep, Level, NothingToDo, Rendering, Strict
from stylefx.recipes.distributions import Quantity
from stylefx.recipes.draw import Drawing
from stylefx.recipes.presets import branches, check_engine, resolve_chains
from stylefx.recipes.references import References

FORMAT = 1

#: fields that came later: where they have their defaults, a manifest is written and digested as before they were there
_LATER = ("meter", "nothing_to_do", "plugins", "reference", "render")

#: the same of fields that choose recordings, and turn no planned sample into other bytes
_LATER_CHOICES = ("near_duplicates", "licences")


class Segment(Strict):
    """What is cut from the recordings: two adjacent halves at the corpus' rate."""

    half_frames: int = Field(131072, ge=256, le=2**24, description="frames of one half at sample_rate")
    sample_rate: int = Field(24000, ge=4000, le=384000)
    channels: Literal[1, 2] = 1
    activity_threshold: float = Field(1e-5, ge=0.0, description="mean power that each half must exceed")
    overlap: float = Field(0.0, ge=0.0, lt=1.0, description="share of a segment that the next one repeats")
    per_recording: int | None = Field(None, ge=1, description="at most so many samples of one recording (or joined tape)")
    draws_per_tape: int = Field(1, ge=1, le=64, description="samples of every cut stretch, each with effects of its own")


class Join(Strict):
    """Clips too short for a segment are joined within their group."""

    below_s: float | None = Field(None, ge=0.0, description="shorter clips are joined; default: those too short for a segment")
    every: int = Field(16, ge=1, description="about so many clips to a tape")


class Fractions(Strict):
    train: float = Field(0.9, ge=0.0, le=1.0)
    val: float = Field(0.05, ge=0.0, le=1.0)
    test: float = Field(0.05, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _sum(self) -> Fractions:
        if abs(self.train + self.val + self.test - 1.0) > 1e-6:
            raise ValueError(f"the fractions sum to {self.train + self.val + self.test:g}; make them sum to 1")
        return self


class Split(Strict):
    """Groups are split by their hash; the lists pin groups, written ``source/group``."""

    fractions: Fractions = Fractions()
    salt: str = "stylefx"
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _disjoint(self) -> Split:
        seen: dict[str, str] = {}
        for split in ("train", "val", "test"):
            for group in getattr(self, split):
                if seen.setdefault(group, split) != split:
                    raise ValueError(f"group {group!r} is pinned to {seen[group]} and to {split}; keep one")
        return self


class Augment(Strict):
    """Pitch and tempo, and further augmentations by name, before any effect; in the training split unless said otherwise."""

    engine: Literal["vocoder", "signalsmith", "rubberband", "pyrubberband"] = "vocoder"
    probability: float = Field(0.5, ge=0.0, le=1.0)
    pitch_cents: Quantity = Field({"uniform": (-200.0, 200.0)}, validate_default=True)
    tempo: Quantity = Field({"uniform": (0.8, 1.2)}, validate_default=True)
    splits: tuple[Literal["train", "val", "test"], ...] = ("train",)
    extra: tuple[AudiomentationsStep, ...] = ()

    @model_validator(mode="after")
    def _bounded(self) -> Augment:
        low, high = self.tempo.bounds()
        if not 0.25 <= low <= high <= 4.0:
            raise ValueError(f"tempo can become {low:g}..{high:g}; keep it within 0.25..4 (add clip: [0.25, 4])")
        low, high = self.pitch_cents.bounds()
        if not -2400 <= low <= high <= 2400:
            raise ValueError(f"pitch_cents can become {low:g}..{high:g}; keep it within -2400..2400 (add a clip)")
        return self

    @property
    def used_engine(self) -> str:
        """The engine that renders with this; "" where none does."""
        return self.engine if self.probability > 0 else ""


class Filters(Strict):
    """Thresholds on whole recordings, applied when planning; each rejection is counted by its reason."""

    min_duration_s: float | None = None
    max_duration_s: float | None = None
    min_lufs: float | None = None
    max_lufs: float | None = None
    max_silence_share: float | None = Field(None, ge=0.0, le=1.0)
    max_clipping_share: float | None = Field(None, ge=0.0, le=1.0)
    min_bandwidth_hz: float | None = None
    max_dc: float | None = Field(None, ge=0.0)
    min_correlation: float | None = Field(None, ge=-1.0, le=1.0)
    max_correlation: float | None = Field(None, ge=-1.0, le=1.0, description="1 = both channels are the same signal")
    min_sample_rate: int | None = None


class Hours(Strict):
    train: float | None = Field(None, ge=0.0)
    val: float | None = Field(None, ge=0.0)
    test: float | None = Field(None, ge=0.0)


class Balance(Strict):
    """As many samples of each value: of source, group, label, licence, or of a column of the metadata."""

    by: str = Field(min_length=1)


class Selection(Strict):
    """How much of what could be cut is kept."""

    hours: float | Hours | None = Field(None, description="hours wanted, in all or per split; default: everything")
    balance: Literal["natural", "weight"] | Balance = Field(
        "natural",
        description="weight: samples per source in proportion to its weight; {by: language}: as many of each value of a column",
    )


class ShardSize(Strict):
    samples: int = Field(256, ge=1, le=100000)


class Limits(Strict):
    """How much may go wrong before the build counts as incomplete."""

    max_failed_share: float = Field(0.01, ge=0.0, le=1.0, description="failed and quarantined samples over planned ones")
    max_filtered_share: float = Field(1.0, ge=0.0, le=1.0)
    max_unreadable_share: float = Field(1.0, ge=0.0, le=1.0, description="recordings that scanning could not read")
    shard_seconds: float | None = Field(None, gt=0.0, description="wall-time limit of one shard; default: from its size")
    recording_hours: float = Field(48.0, gt=0.0, description="longer recordings are refused when scanning")
    scan_seconds: float = Field(1800.0, gt=0.0, description="one recording may take so long to scan")
    archive_gb: float = Field(200.0, gt=0.0, description="largest total unpacked size of one archive")
    archive_ratio: float = Field(200.0, gt=1.0, description="largest ratio of unpacked to packed size")


class Manifest(Strict):
    """Everything about a corpus."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    seed: int = Field(0, ge=0, lt=2**63)
    output: str = Field(description="folder or URL of the corpus")
    plugins: tuple[str, ...] = Field((), description="installed packages whose effects, sources or augmentations are used")
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    segment: Segment = Segment()
    join: Join = Join()
    split: Split = Split()
    augment: Augment = Augment()
    preset: str = Field("deepafx-st", description="a name, or the path of a YAML file with chains")
    chains: Chains | None = Field(None, description="replaces parts of the preset")
    level: Level | Literal["none"] = Level(peak_dbfs=-12.0)
    meter: Literal["bs1770", "pyloudnorm"] = Field("bs1770", description="loudness of levels and samples; scanning: bs1770")
    reference: References = Field(References(), description="where the style's reference comes from")
    nothing_to_do: NothingToDo = Field(NothingToDo(), description="samples whose input has the target's style already")
    render: Rendering = Rendering()
    store: Literal["pair", "dry", "both"] = "pair"
    audio_format: Literal["flac16", "flac24", "pcm16", "pcm24", "float32"] = Field(
        "flac24", description="of the halves; a corpus that was begun without this key keeps the format that it has"
    )
    filters: Filters = Filters()
    near_duplicates: Literal["group", "drop", "ignore"] = Field(
        "group",
        description="of the same audio in another format, rate, level or length: keep in one split, keep one, or do not look",
    )
    licences: tuple[str, ...] = Field((), description="patterns such as CC-BY-4.0, CC0, CC-BY-*, !*-NC-*; default: all")
    selection: Selection = Selection()
    shard: ShardSize = ShardSize()
    limits: Limits = Limits()

    @field_validator("output")
    @classmethod
    def _no_credentials(cls, value: str) -> str:
        return without_credentials(value)

    @model_validator(mode="after")
    def _sources_differ(self) -> Manifest:
        names = [s.name for s in self.sources]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two sources are called {twice[0]!r}; names are part of every sample's identity, make them differ")
        if self.selection.balance != "weight" and len({s.weight for s in self.sources}) > 1:
            raise ValueError("the sources' weights count only with selection.balance: weight; add it, or remove the weights")
        return self

    @property
    def segment_frames(self) -> int:
        """Frames of a segment: two halves."""
        return 2 * self.segment.half_frames

    @cached_property
    def rendered_with(self) -> tuple[str, ...]:
        """What a sample of this manifest depends on beyond the core: the engine, packages, "flac" where it is written by
        our encoder, "g722" and "libav" where a source names such files (``workers.environment`` knows whose version each
        means)."""
        parts = {self.augment.used_engine, self.render.engine} - {"", OWN}
        parts |= {"audiomentations"} if any(not is_plugin(entry.name) for entry in self.augment.extra) else set()
        parts |= {f"{PLUGIN}{normalised(name)}" for name in self.plugins}
        parts |= {"pyloudnorm"} if self.meter == "pyloudnorm" else set()
        parts |= {"flac"} if self.audio_format.startswith("flac") else set()
        named = [p.lower() for s in self.sources for p in (s.path, *s.include)]
        parts |= {"g722"} if any(".g722" in p for p in named) else set()
        parts |= {"libav"} if any(p.endswith(suffix) for p in named for suffix in LIBAV_SUFFIXES) else set()
        return tuple(sorted(parts))

    def source(self, name: str) -> Source:
        return next(s for s in self.sources if s.name == name)

    @cached_property
    def resolved_chains(self) -> Chains:
        """The preset with the manifest's own chains laid over it; UserError for what cannot be rendered."""
        chains = resolve_chains(self.preset, self.chains, self.augment.extra, self.segment.sample_rate)
        check_engine(chains, self.render.engine)
        for where, steps in branches(chains):
            for step in steps:
                if isinstance(step, EffectStep):
                    check_listed(EFFECTS, step.effect, self.plugins, f"chains.{where}")
        return chains

    def check_plugins(self) -> None:
        """UserError where a plug-in is not installed here, or is used without being listed."""
        check_installed(self.plugins)
        for number, source in enumerate(self.sources):
            if source.kind is not None:
                check_listed(SOURCES, source.kind, self.plugins, f"sources.{number}.kind")
        for number, entry in enumerate(self.augment.extra):
            check_listed(AUGMENTATIONS, entry.name, self.plugins, f"augment.extra.{number}.name")

    @cached_property
    def drawing(self) -> Drawing:
        """What all draws of this corpus share."""
        return Drawing(self.seed, self.segment.sample_rate, self.level, self.nothing_to_do, self.meter, self.render)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, complete with defaults, JSON-ready; ``Manifest.model_validate`` reads it back.

        A field that came later is left out at its default, so that what was written without it keeps its digests.
        """
        fields = type(self).model_fields
        unused = {name for name in (*_LATER, *_LATER_CHOICES) if getattr(self, name) == fields[name].default}
        data: dict[str, Any] = json.loads(self.model_dump_json(exclude=unused))
        if self.segment.draws_per_tape == 1:
            del data["segment"]["draws_per_tape"]
        data["sources"] = [source.to_dict() for source in self.sources]
        return data

    def recipe_digest(self) -> str:
        """Digest of all that turns a planned sample into bytes (hex, 32 digits); where files lie is no part of it."""
        data = self.to_dict()
        keys = ("format", "seed", "segment", "augment", "level", "store", "audio_format", *_LATER)
        kept = {k: data[k] for k in keys if k in data}
        kept["chains"] = json.loads(self.resolved_chains.model_dump_json())
        return hex_digest("recipe", json.dumps(kept, sort_keys=True, separators=(",", ":")))

    def digest(self) -> str:
        """Digest of the whole manifest (hex, 32 digits)."""
        return hex_digest("manifest", json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":")))
