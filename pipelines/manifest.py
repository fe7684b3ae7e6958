"""The manifest: one YAML file that says everything about a corpus, as validated models.

Unknown keys are errors that name the near miss and the place in the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.distributions import Quantity
from pipelines.manifest_chains import AudiomentationsStep, Chains, Level, Model
from pipelines.manifest_sources import Source, without_credentials
from stylefx.keyed import hex_digest

FORMAT = 1


class Segment(Model):
    """What is cut from the recordings: two adjacent halves at the corpus' rate."""

    half_frames: int = Field(131072, ge=256, le=2**24, description="frames of one half at sample_rate")
    sample_rate: int = Field(24000, ge=4000, le=384000)
    channels: Literal[1, 2] = 1
    activity_threshold: float = Field(1e-5, ge=0.0, description="mean power that each half must exceed")
    overlap: float = Field(0.0, ge=0.0, lt=1.0, description="share of a segment that the next one repeats")
    per_recording: int | None = Field(None, ge=1, description="at most so many samples of one recording (or joined tape)")


class Join(Model):
    """Clips too short for a segment are joined within their group."""

    below_s: float | None = Field(None, ge=0.0, description="shorter clips are joined; default: those too short for a segment")
    every: int = Field(16, ge=1, description="about so many clips to a tape")


class Fractions(Model):
    train: float = Field(0.9, ge=0.0, le=1.0)
    val: float = Field(0.05, ge=0.0, le=1.0)
    test: float = Field(0.05, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _sum(self) -> Fractions:
        if abs(self.train + self.val + self.test - 1.0) > 1e-6:
            raise ValueError(f"the fractions sum to {self.train + self.val + self.test:g}; make them sum to 1")
        return self


class Split(Model):
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


class Augment(Model):
    """Pitch and tempo, and further augmentations by name, before any effect; in the training split unless said otherwise."""

    engine: Literal["vocoder", "signalsmith", "rubberband"] = "vocoder"
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


class Filters(Model):
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


class Hours(Model):
    train: float | None = Field(None, ge=0.0)
    val: float | None = Field(None, ge=0.0)
    test: float | None = Field(None, ge=0.0)


class Selection(Model):
    """How much of what could be cut is kept."""

    hours: float | Hours | None = Field(None, description="hours wanted, in all or per split; default: everything")
    balance: Literal["natural", "weight"] = Field("natural", description="weight: samples per source in proportion to its weight")


class Shard(Model):
    samples: int = Field(256, ge=1, le=100000)


class Limits(Model):
    """How much may go wrong before the build counts as incomplete."""

    max_failed_share: float = Field(0.01, ge=0.0, le=1.0, description="failed and quarantined samples over planned ones")
    max_filtered_share: float = Field(1.0, ge=0.0, le=1.0)
    max_unreadable_share: float = Field(1.0, ge=0.0, le=1.0, description="recordings that scanning could not read")
    shard_seconds: float | None = Field(None, gt=0.0, description="wall-time limit of one shard; default: from its size")
    recording_hours: float = Field(48.0, gt=0.0, description="longer recordings are refused when scanning")
    scan_seconds: float = Field(1800.0, gt=0.0, description="one recording may take so long to scan")
    archive_gb: float = Field(200.0, gt=0.0, description="largest total unpacked size of one archive")
    archive_ratio: float = Field(200.0, gt=1.0, description="largest ratio of unpacked to packed size")


class Manifest(Model):
    """Everything about a corpus."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    seed: int = Field(0, ge=0, lt=2**63)
    output: str = Field(description="folder or URL of the corpus")
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    segment: Segment = Segment()
    join: Join = Join()
    split: Split = Split()
    augment: Augment = Augment()
    preset: str = Field("deepafx-st", description="a name, or the path of a YAML file with chains")
    chains: Chains | None = Field(None, description="replaces parts of the preset")
    level: Level | Literal["none"] = Level(peak_dbfs=-12.0)
    store: Literal["pair", "dry", "both"] = "pair"
    audio_format: Literal["flac16", "flac24", "pcm16", "float32"] = "flac16"
    filters: Filters = Filters()
    selection: Selection = Selection()
    shard: Shard = Shard()
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
        if self.selection.balance == "natural" and len({s.weight for s in self.sources}) > 1:
            raise ValueError("the sources' weights count only with selection.balance: weight; add it, or remove the weights")
        return self

    @property
    def segment_frames(self) -> int:
        """Frames of a segment: two halves."""
        return 2 * self.segment.half_frames

    def source(self, name: str) -> Source:
        return next(s for s in self.sources if s.name == name)

    @cached_property
    def resolved_chains(self) -> Chains:
        """The preset with the manifest's own chains laid over it; UserError for what cannot be rendered."""
        from pipelines.presets import resolve_chains

        return resolve_chains(self)

    def to_dict(self) -> dict:
        """Plain data, complete with defaults, JSON-ready; ``Manifest.model_validate`` reads it back."""
        return json.loads(self.model_dump_json())

    def recipe_digest(self) -> str:
        """Digest of all that turns a planned sample into bytes (hex, 32 digits); where files lie is no part of it."""
        data = self.to_dict()
        kept = {k: data[k] for k in ("format", "seed", "segment", "augment", "level", "store", "audio_format")}
        kept["chains"] = json.loads(self.resolved_chains.model_dump_json())
        return hex_digest("recipe", json.dumps(kept, sort_keys=True, separators=(",", ":")))

    def digest(self) -> str:
        """Digest of the whole manifest (hex, 32 digits)."""
        return hex_digest("manifest", json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":")))


def load_manifest(path: str | Path, overrides: Sequence[str] = ()) -> Manifest:
    """Read and validate a manifest; ``overrides`` are ``dotted.path=YAML value``. UserError names place and near miss."""
    from pipelines.manifest_load import load

    return load(path, overrides)
