"""Training configurations: YAML, validated, with ``key=value`` overrides. Unknown keys are errors that name the near miss."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stylefx.config import explain
from stylefx.config.overrides import apply_overrides
from stylefx.config.read import read_yaml
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.files.processes.cores import cores
from stylefx.recipes.chains import Chains, Level, NothingToDo
from stylefx.recipes.references import ReferenceRule

MOST_READERS = 8  # more wait for one another: what is not decoding holds the interpreter's lock


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusEntry(_Section):
    """A corpus folder or URL; ``weight`` is its share of the mixture (default: its number of samples)."""

    path: str
    weight: float | None = Field(None, gt=0)


class OnlineConfig(_Section):
    """What ``data.render: online`` draws; what is not given is as in the corpus (its corpus.json). ``preset`` is a name or a
    YAML file with chains, ``chains`` replaces parts of it. ``reference`` draws references anew among the samples of a window
    of shards; without it they are those that the corpus stores.
    """

    preset: str | None = None
    chains: Chains | None = None
    reference: ReferenceRule | None = None
    nothing_to_do: NothingToDo | None = Field(None, description="share of items whose input has the reference's style already")
    level: Level | Literal["none"] | None = Field(None, description="where normalise steps go: {peak_dbfs: -12} or {lufs: -23}")


class DataConfig(_Section):
    """``crop_samples``: the stretch of a half that is rendered and compared (null: all); the encoder hears whole halves.
    ``window_shards``: shards shuffled together.

    ``stream`` "webdataset" reads ``corpora`` as tars (files, URLs, ``pipe:`` commands, brace patterns) in sequence, without an
    index; ``sample_rate`` (Hz) and ``half_frames`` then say what an item is.
    """

    corpora: list[CorpusEntry] = Field(min_length=1)
    crop_samples: int | None = Field(None, gt=0)
    window_shards: int = Field(8, gt=0)
    workers: int | None = Field(
        None, ge=0, description="threads that read; default: the processors at hand but one, 8 per interpreter"
    )
    reader_processes: int = Field(
        0, ge=0, description="processes per rank that share out workers, and read beside the interpreter that trains; 0: none"
    )
    ahead: int = Field(3, gt=0, description="micro-batches that are read ahead, by each of reader_processes")
    stream: Literal["index", "webdataset"] = "index"
    sample_rate: int | None = Field(None, gt=0, description="of items from a stream, Hz")
    half_frames: int | None = Field(None, gt=0, description="of items from a stream")
    cache_dir: str | None = Field(None, description="local copies of remote shards; default: STYLEFX_CACHE, or a job's own space")
    cache_gb: float = Field(50.0, gt=0, description="size limit of cache_dir")
    max_damaged_share: float = Field(
        0.0, ge=0, lt=1, description="of the samples, that may be passed over; 0: the first one stops"
    )
    render: Literal["stored", "online", "recipe"] = Field(
        "stored", description="online: settings drawn anew at every step; recipe: stored recipes, rendered in float"
    )
    online: OnlineConfig = OnlineConfig()

    @model_validator(mode="before")
    @classmethod
    def _plain_paths(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("corpora"), str | list):
            corpora = [data["corpora"]] if isinstance(data["corpora"], str) else data["corpora"]
            return data | {"corpora": [{"path": c} if isinstance(c, str) else c for c in corpora]}
        return data

    @model_validator(mode="after")
    def _all_weights_or_none(self) -> DataConfig:
        if len({c.weight is None for c in self.corpora}) > 1:
            raise ValueError("give every corpus a weight or none")
        if self.stream == "webdataset" and not (self.sample_rate and self.half_frames):
            raise ValueError("a stream needs data.sample_rate and data.half_frames")
        if self.stream == "webdataset" and self.reader_processes:
            raise ValueError(
                f"data.reader_processes is {self.reader_processes}, and a stream is read by threads only; "
                "set it to 0, or use data.stream: index"
            )
        if self.render != "online" and self.online != OnlineConfig():
            raise ValueError("data.online counts only with data.render: online; add it, or remove data.online")
        if self.stream == "webdataset" and self.render == "recipe":
            raise ValueError("a stream holds no recipes that can be looked up; use data.stream: index")
        if self.stream == "webdataset" and self.online.reference is not None and self.online.reference.other_share:
            raise ValueError("a stream knows no groups, so references are of the same recording; use data.stream: index")
        return self


class Named(BaseModel):
    """A name and its options, passed on as they are; the builder of that name checks them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ModelConfig(_Section):
    """``chain``: the name of a preset, or effects in order, each {"effect": name, "config": {...}}."""

    encoder: Named = Named(name="base")
    controller: dict[str, Any] = Field(default_factory=dict)
    chain: str | list[dict[str, Any]] = "deepafx-st"
    strategy: Named = Named(name="ad")


class LossConfig(_Section):
    """Multi-resolution STFT plus ``l1_weight`` times L1 of the waveforms, both to the target. Items of the intent "balance"
    count ``balance_weight`` times the distance of the output's averages to the reference's instead.
    """

    l1_weight: float = Field(100.0, ge=0)
    balance_weight: float = Field(0.1, ge=0, description="per dB")
    restraint: float = Field(0.0, ge=0, description="of what an item's MR-STFT to the target is above the input's")


class WarmUpConfig(_Section):
    """What the controller "solver" learns first, without audio: ``solver_steps`` on drawn curves, ``curve_steps`` on averages of
    ``items`` dry training samples to which curves are added. ``curve_weight`` goes on with the latter in every later step.
    """

    solver_steps: int = Field(0, ge=0)
    curve_steps: int = Field(0, ge=0)
    items: int = Field(1000, gt=0)
    styles: int = Field(0, ge=0, description="so many drawn styles are rendered of every item; 0: curves are added to averages")
    batch: int = Field(128, gt=1)
    learning_rate: float = Field(1e-3, gt=0)
    foreign_curves: float = Field(
        0.5, ge=0, le=1, description="share of the curves that are drawn freely, not by the run's chains"
    )
    curve_weight: float = Field(0.0, ge=0)
    restraint: float = Field(1.0, ge=0, description="weight of dB by which a curve ends further from the truth than no curve")


class OptimiserConfig(_Section):
    """Adam (AdamW with ``weight_decay``). ``schedule``: "step" (x 0.1 at 80 % and 95 % of the steps), "cosine" (to 1 %) or
    "constant", after a warm-up.
    """

    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["step", "cosine", "constant"] = "step"
    warmup_steps: int = Field(0, ge=0)
    clip_norm: float = Field(4.0, gt=0)
    ema_decay: float | None = Field(None, gt=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)


class ValidationConfig(_Section):
    """``samples``: how many of the split (null: all). ``metric`` chooses the best checkpoint, the smaller the better.
    ``corpora``: finished corpora to validate on (default: those trained on).
    """

    every_steps: int = Field(500, gt=0)
    samples: int | None = Field(256, gt=0)
    split: str = "val"
    corpora: list[str] | None = None
    crop_samples: int | None = Field(None, gt=0)
    render: Literal["stored", "online", "recipe"] | None = Field(
        None, description="default: as data.render; other corpora: what they store, and online where they are dry"
    )
    metric: Literal["loss", "mr_stft", "mr_stft_ratio", "l1"] = "mr_stft"


class CheckpointConfig(_Section):
    every_steps: int = Field(500, gt=0)
    keep_last: int = Field(2, gt=0)


class LoggingConfig(_Section):
    """``backends``: where numbers go beside metrics.jsonl; audio and pictures go to TensorBoard."""

    every_steps: int = Field(20, gt=0)
    backends: list[Literal["tensorboard", "wandb", "mlflow"]] = ["tensorboard"]
    media_samples: int = Field(2, ge=0, description="validation samples shown as audio and spectrograms")

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, data: Any) -> Any:
        """``tensorboard: false`` in configurations from before there were others."""
        if isinstance(data, dict) and isinstance(data.get("tensorboard"), bool):
            rest = {k: v for k, v in data.items() if k != "tensorboard"}
            return rest if data["tensorboard"] else {"backends": []} | rest
        return data


class StopConfig(_Section):
    """``patience``: how many validations in a row may bring no better ``validation.metric`` before the run ends."""

    patience: int | None = Field(None, gt=0)


class ProfileConfig(_Section):
    """``steps``: the first and the last step of a torch profiler trace in the run's folder ``profile``."""

    steps: tuple[int, int]

    @model_validator(mode="after")
    def _in_order(self) -> ProfileConfig:
        if not 1 <= self.steps[0] <= self.steps[1]:
            raise ValueError("steps are the first and the last one to profile, such as [100, 110]")
        return self


class TrainingConfig(_Section):
    """Everything that decides a training run. The global batch is fixed; ranks and micro-batch only divide the work."""

    seed: int = 0
    steps: int = Field(gt=0)
    global_batch: int = Field(16, gt=0)
    micro_batch: int | None = Field(None, gt=0, description="items per forward pass; default: as many as a rank has to do")
    device: str = "auto"
    threads: int | None = Field(None, gt=0)
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = Field(False, description="encoder and controller through torch.compile; the first step takes minutes")
    cuda_graphs: bool = Field(
        True, description="one process on one CUDA device: forward and backward are recorded once and replayed, where they can be"
    )
    init_from: str | None = Field(None, description="a checkpoint whose weights the run starts from")
    plugins: tuple[str, ...] = Field((), description="installed packages whose effects or encoders are used")
    data: DataConfig
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    warm_up: WarmUpConfig = WarmUpConfig()
    balance_share: float = Field(0.0, ge=0, le=1, description="of the items, those with the intent 'balance'")
    optimiser: OptimiserConfig = OptimiserConfig()
    validation: ValidationConfig = ValidationConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    logging: LoggingConfig = LoggingConfig()
    stop: StopConfig = StopConfig()
    profile: ProfileConfig | None = None

    def readers(self, processes: int = 1, interpreters: int = 1) -> int:
        """How many threads read for each of ``processes`` on this machine, in so many ``interpreters`` each."""
        most = min(MOST_READERS * interpreters, cores() // processes - 1)
        return self.data.workers if self.data.workers is not None else max(1, most)

    def training_readers(self, processes: int = 1) -> int:
        """Like ``readers``, of what is trained on."""
        return max(self.data.reader_processes, self.readers(processes, max(1, self.data.reader_processes)))

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


def validate(data: Any, where: str) -> TrainingConfig:
    """Plain data -> configuration; UserError with what is wrong in one sentence."""
    return explain.validate(TrainingConfig, data, where)


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read, override, validate. Relative paths in it are relative to the working directory."""
    data, node = read_yaml(path, "a training configuration")
    if not isinstance(data, dict):
        raise UserError(f"the configuration {path} is empty; start from one that `stylefx config` lists")
    applied = apply_overrides(data, overrides)
    return explain.validate(TrainingConfig, data, str(path), node, applied)
