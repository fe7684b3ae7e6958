"""Training configurations: YAML, validated, with ``key=value`` overrides. Unknown keys are errors that name the near miss."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusEntry(_Section):
    """A corpus folder or URL; ``weight`` is its share of the mixture (default: its number of samples)."""

    path: str
    weight: float | None = Field(None, gt=0)


class Data(_Section):
    """``crop_samples``: the stretch of a half that is rendered and compared (null: all); the encoder hears whole halves.
    ``window_shards``: shards shuffled together.

    ``stream`` "webdataset" reads ``corpora`` as tars (files, URLs, ``pipe:`` commands, brace patterns) in sequence, without an
    index; ``sample_rate`` (Hz) and ``half_frames`` then say what an item is.
    """

    corpora: list[CorpusEntry] = Field(min_length=1)
    crop_samples: int | None = Field(None, gt=0)
    window_shards: int = Field(8, gt=0)
    workers: int = Field(2, ge=0)
    ahead: int = Field(3, gt=0, description="micro-batches that are read ahead")
    stream: Literal["index", "webdataset"] = "index"
    sample_rate: int | None = Field(None, gt=0, description="of items from a stream, Hz")
    half_frames: int | None = Field(None, gt=0, description="of items from a stream")
    cache_dir: str | None = Field(None, description="local copies of remote shards; default: ~/.cache/stylefx/shards")
    cache_gb: float = Field(50.0, gt=0, description="size limit of cache_dir")
    render: Literal["stored", "online"] = "stored"

    @model_validator(mode="before")
    @classmethod
    def _plain_paths(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("corpora"), str | list):
            corpora = [data["corpora"]] if isinstance(data["corpora"], str) else data["corpora"]
            return data | {"corpora": [{"path": c} if isinstance(c, str) else c for c in corpora]}
        return data

    @model_validator(mode="after")
    def _all_weights_or_none(self) -> Data:
        if len({c.weight is None for c in self.corpora}) > 1:
            raise ValueError("give every corpus a weight or none")
        if self.stream == "webdataset" and not (self.sample_rate and self.half_frames):
            raise ValueError("a stream needs data.sample_rate and data.half_frames")
        return self


class Named(BaseModel):
    """A name and its options, passed on as they are; the builder of that name checks them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Model(_Section):
    """``chain``: the name of a preset, or effects in order, each {"effect": name, "config": {...}}."""

    encoder: Named = Named(name="base")
    controller: dict[str, Any] = Field(default_factory=dict)
    chain: str | list[dict[str, Any]] = "deepafx-st"
    strategy: Named = Named(name="ad")


class Loss(_Section):
    """Multi-resolution STFT plus ``l1_weight`` times L1 of the waveforms."""

    l1_weight: float = Field(100.0, ge=0)


class Optimiser(_Section):
    """Adam. ``schedule``: "step" (x 0.1 at 80 % and 95 % of the steps), "cosine" (to 1 %) or "constant", after a warm-up."""

    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["step", "cosine", "constant"] = "step"
    warmup_steps: int = Field(0, ge=0)
    clip_norm: float = Field(4.0, gt=0)
    ema_decay: float | None = Field(None, gt=0, lt=1)


class Validation(_Section):
    """``samples``: how many of the split (null: all). ``metric`` chooses the best checkpoint, the smaller the better.
    ``corpora``: finished corpora to validate on (default: those trained on).
    """

    every_steps: int = Field(500, gt=0)
    samples: int | None = Field(256, gt=0)
    split: str = "val"
    corpora: list[str] | None = None
    crop_samples: int | None = Field(None, gt=0)
    metric: Literal["loss", "mr_stft", "mr_stft_ratio", "l1"] = "mr_stft"


class Checkpoints(_Section):
    every_steps: int = Field(500, gt=0)
    keep_last: int = Field(2, gt=0)


class Logging(_Section):
    every_steps: int = Field(20, gt=0)
    tensorboard: bool = True
    media_samples: int = Field(2, ge=0, description="validation samples shown as audio and spectrograms")


class TrainingConfig(_Section):
    """Everything that decides a training run. The global batch is fixed; ranks and micro-batch only divide the work."""

    seed: int = 0
    steps: int = Field(gt=0)
    global_batch: int = Field(16, gt=0)
    micro_batch: int | None = Field(None, gt=0, description="items per forward pass; default: as many as a rank has to do")
    device: str = "auto"
    threads: int | None = Field(None, gt=0)
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = False
    init_from: str | None = Field(None, description="a checkpoint whose weights the run starts from")
    data: Data
    model: Model = Model()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    validation: Validation = Validation()
    checkpoints: Checkpoints = Checkpoints()
    logging: Logging = Logging()

    def accumulation(self, world: int) -> tuple[int, int]:
        """(items per forward pass of a rank, forward passes per step); UserError when the global batch does not divide."""
        micro = self.micro_batch or max(self.global_batch // world, 1)
        passes, rest = divmod(self.global_batch, micro * world)
        if rest or not passes:
            raise UserError(f"global_batch {self.global_batch} is not a multiple of micro_batch {micro} x {world} processes")
        return micro, passes


def resolve_chain(chain: str | list[dict[str, Any]]) -> EffectChain:
    """A preset's name or a list of effects -> the chain."""
    if isinstance(chain, list):
        return EffectChain.from_dict({"format": "stylefx-chain", "version": 1, "effects": chain})
    from stylefx.effects.presets import deepafx_st_chain

    if chain in ("deepafx-st", "full-band"):
        return deepafx_st_chain(ranges=chain)
    raise UserError(f"model.chain is {chain!r}; give 'deepafx-st', 'full-band' or a list of effects")


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """``a.b=value`` sets data["a"]["b"]; values are YAML."""
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"override {text!r} is not key=value, such as optimiser.learning_rate=3e-4")
        *parents, last = key.split(".")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(f"override {text!r}: {parent!r} holds a value, not a section")
        place[last] = parse_value(value)
    return data


def parse_value(text: str) -> Any:
    """YAML, but 1e-4 is a number too (YAML 1.1 wants 1.0e-4)."""
    try:
        return float(text) if "e" in text.lower() and text.strip()[0] in "+-.0123456789" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text


def _near_miss(error: dict[str, Any], config: type[BaseModel]) -> str:
    """The closest known key to an unknown one."""
    fields, model = config.model_fields, config
    for part in error["loc"][:-1]:
        annotation = fields[part].annotation if isinstance(part, str) and part in fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model, fields = annotation, annotation.model_fields
    near = difflib.get_close_matches(str(error["loc"][-1]), model.model_fields, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(model.model_fields)}"


def validate(data: Any, where: str) -> TrainingConfig:
    """Plain data -> configuration; UserError with the first mistake in one sentence."""
    try:
        return TrainingConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "the configuration"
        if first["type"] == "extra_forbidden":
            raise UserError(f"{where} has the unknown key {place!r}{_near_miss(first, TrainingConfig)}") from error
        if first["type"] == "missing":
            raise UserError(f"{where} lacks {place!r}; add it") from error
        raise UserError(f"{where}: {place} is {first['input']!r}: {first['msg']}") from error


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read, override, validate. Relative paths in it are relative to the working directory."""
    try:
        data = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise UserError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UserError(f"the configuration {path} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"the configuration {path} is empty; start from one in manifests/train")
    return validate(apply_overrides(data, overrides), str(path))
