"""What is done to the clips: chains of steps for both branches, every number a distribution."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.distributions import Quantity


class Model(BaseModel):
    """Base of all manifest models: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(Model):
    """A level to normalise to: exactly one of the two."""

    peak_dbfs: float | None = Field(None, le=0.0, ge=-96.0)
    lufs: float | None = Field(None, le=0.0, ge=-70.0)

    @model_validator(mode="after")
    def _one(self) -> Level:
        if (self.peak_dbfs is None) == (self.lufs is None):
            raise ValueError("give exactly one of peak_dbfs and lufs")
        return self


class EffectStep(Model):
    """An effect with drawn settings; what is not named keeps the effect's default."""

    step: Literal["effect"] = "effect"
    effect: str
    id: str | None = Field(None, description="purpose of the draws; default: the effect's name (and -2, -3 for repeats)")
    probability: float = Field(1.0, ge=0.0, le=1.0)
    config: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Quantity] = Field(default_factory=dict)
    mix: Quantity | None = Field(None, description="share of the processed signal, 0 to 1; default: 1")
    drawn_by: str | None = Field(None, description="a joint draw: deepafx-st-eq, deepafx-st-compressor, deepafx-st-expander")


class NormaliseStep(Model):
    """To the manifest's level, or to one of its own."""

    step: Literal["normalise"]
    peak_dbfs: float | None = Field(None, le=0.0)
    lufs: float | None = Field(None, le=0.0)


class FadeStep(Model):
    step: Literal["fade"]
    ms: float = Field(50.0, ge=0.0)


class ScaleStep(Model):
    step: Literal["scale"]
    gain_db: Quantity


Step = Annotated[EffectStep | NormaliseStep | FadeStep | ScaleStep, Field(discriminator="step")]


class Style(Model):
    """A labelled alternative for the target branch."""

    label: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    weight: float = Field(1.0, gt=0.0)
    target: tuple[Step, ...]


class Chains(Model):
    """Steps of the clean clip, of both branches, and of both branches' ends."""

    include: str | None = Field(None, description="a preset to start from; what is given here replaces its parts")
    clean: tuple[Step, ...] | None = None
    input: tuple[Step, ...] | None = None
    target: tuple[Step, ...] | None = None
    finish: tuple[Step, ...] | None = Field(None, description="the last steps of both branches")
    styles: tuple[Style, ...] | None = Field(None, description="labelled targets, drawn per sample, instead of target")
    equivalent: bool | None = Field(None, description="store settings that map the stored input to the stored target")


class AudiomentationsStep(Model):
    """An augmentation of the audiomentations package, seeded per sample."""

    name: str = Field(description="class name, such as AddGaussianNoise")
    probability: float = Field(0.5, ge=0.0, le=1.0)
    parameters: dict[str, Quantity | str | bool] = Field(default_factory=dict)
