"""What is done to the clips: chains of steps for both branches, every number a distribution."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stylefx.foreign import OWN
from stylefx.recipes.distributions import Quantity


class Strict(BaseModel):
    """Base of all manifest models: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(Strict):
    """A level to normalise to: exactly one of the two."""

    peak_dbfs: float | None = Field(None, le=0.0, ge=-96.0)
    lufs: float | None = Field(None, le=0.0, ge=-70.0)

    @model_validator(mode="after")
    def _one(self) -> Level:
        if (self.peak_dbfs is None) == (self.lufs is None):
            raise ValueError("give exactly one of peak_dbfs and lufs")
        return self

    def to_step(self) -> dict[str, float]:
        """``{"peak_dbfs": -12.0}`` or ``{"lufs": -23.0}``."""
        return {k: v for k, v in self.model_dump().items() if v is not None}


class Rendering(Strict):
    """Whose effects render the chains: ours, or another program's with our settings converted (stylefx.foreign)."""

    engine: Literal["stylefx", "sox", "ffmpeg", "pedalboard"] = "stylefx"
    headroom: bool = Field(
        True, description="lower the audio inside SoX, which clips at full scale between effects, and raise it after"
    )

    @model_validator(mode="after")
    def _headroom_of_sox(self) -> Rendering:
        if not self.headroom and self.engine != "sox":
            raise ValueError(f"headroom: false is for SoX, which clips inside; {self.engine} does not, remove it")
        return self

    def to_step(self) -> dict[str, Any]:
        """What an effect's step records; nothing for our own effects."""
        if self.engine == OWN:
            return {}
        return {"engine": self.engine} | ({} if self.headroom else {"headroom": False})


class NothingToDo(Strict):
    """How often the input has the target's style already, so that a model learns to leave it alone."""

    share: float = Field(0.0, ge=0.0, le=1.0)
    neutral: float = Field(0.5, ge=0.0, le=1.0, description="of these, the share without any effect; the others have equal ones")

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        """``0.15`` is short for ``{share: 0.15}``."""
        return {"share": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class EffectStep(Strict):
    """An effect with drawn settings; what is not named keeps the effect's default."""

    step: Literal["effect"] = "effect"
    effect: str
    id: str | None = Field(None, description="purpose of the draws; default: the effect's name (and -2, -3 for repeats)")
    probability: float = Field(1.0, ge=0.0, le=1.0)
    config: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Quantity] = Field(default_factory=dict)
    mix: Quantity | None = Field(None, description="share of the processed signal, 0 to 1; default: 1")
    drawn_by: str | None = Field(None, description="a joint draw, such as deepafx-st-eq or production-compressor")
    coin: str | None = Field(None, description="steps of a branch with one coin and probability apply together or not at all")

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a coin as before there were coins: digests of chains stay what they were."""
        data: dict[str, Any] = handler(self)
        if self.coin is None:
            data.pop("coin", None)
        return data


class NormaliseStep(Strict):
    """To the manifest's level, or to one of its own."""

    step: Literal["normalise"]
    peak_dbfs: float | None = Field(None, le=0.0)
    lufs: float | None = Field(None, le=0.0)


class FadeStep(Strict):
    step: Literal["fade"]
    ms: float = Field(50.0, ge=0.0)


class ScaleStep(Strict):
    step: Literal["scale"]
    gain_db: Quantity


Step = Annotated[EffectStep | NormaliseStep | FadeStep | ScaleStep, Field(discriminator="step")]


class Style(Strict):
    """A labelled alternative for the target branch."""

    label: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    weight: float = Field(1.0, gt=0.0)
    target: tuple[Step, ...]


class Chains(Strict):
    """Steps of the clean clip, of both branches, and of both branches' ends."""

    include: str | None = Field(None, description="a preset to start from; what is given here replaces its parts")
    clean: tuple[Step, ...] | None = None
    input: tuple[Step, ...] | None = None
    target: tuple[Step, ...] | None = None
    finish: tuple[Step, ...] | None = Field(None, description="the last steps of both branches")
    styles: tuple[Style, ...] | None = Field(None, description="labelled targets, drawn per sample, instead of target")
    equivalent: bool | None = Field(None, description="store settings that map the stored input to the stored target")


class AudiomentationsStep(Strict):
    """An augmentation of the audiomentations package, seeded per sample."""

    name: str = Field(description="class name, such as AddGaussianNoise")
    probability: float = Field(0.5, ge=0.0, le=1.0)
    parameters: dict[str, Quantity | str | bool] = Field(default_factory=dict)
