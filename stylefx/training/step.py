"""One optimisation step: forward and backward over the rank's micro-batches, the NaN guard, clipping, the update."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stylefx.corpus.dataset import Batch
from stylefx.differentiable.losses import MultiResolutionSTFTLoss
from stylefx.errors import StylefxError
from stylefx.keyed import integer
from stylefx.training.distributed import total


class DivergedError(StylefxError):
    """A loss or a gradient was not finite."""


@dataclass(frozen=True)
class Terms:
    """Loss terms of a batch, scalars or per item."""

    loss: Tensor
    mr_stft: Tensor
    l1: Tensor


class Objective(nn.Module):
    """MR-STFT + ``l1_weight`` x L1 of (output, target), (batch, channels, samples) each."""

    def __init__(self, l1_weight: float):
        super().__init__()
        self.l1_weight = l1_weight
        self.mr_stft = MultiResolutionSTFTLoss()
        self.mr_stft_items = MultiResolutionSTFTLoss(reduction="none")

    def forward(self, output: Tensor, target: Tensor) -> Terms:
        mr_stft, l1 = self.mr_stft(output, target), (output - target).abs().mean()
        return Terms(mr_stft + self.l1_weight * l1, mr_stft, l1)

    def per_item(self, output: Tensor, target: Tensor) -> Terms:
        mr_stft, l1 = self.mr_stft_items(output, target), (output - target).abs().mean(dim=(1, 2))
        return Terms(mr_stft + self.l1_weight * l1, mr_stft, l1)


def to_device(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """The batch's audio as tensors on the device."""
    arrays = {name: getattr(batch, name) for name in ("input", "target", "reference", "dry", "dry_reference")}
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items() if a is not None}
    if device.type == "cuda":
        return {name: t.pin_memory().to(device, non_blocking=True) for name, t in tensors.items()}
    return tensors


def cut(audio: dict[str, Tensor], starts: list[int], length: int) -> dict[str, Tensor]:
    """Keep ``length`` samples of every item's target, from its start; the same stretch of the input becomes "segment"."""
    if length >= audio["input"].shape[-1]:
        return audio

    def stretch(whole: Tensor) -> Tensor:
        return torch.stack([item[:, start : start + length] for item, start in zip(whole, starts, strict=True)])

    return audio | {"segment": stretch(audio["input"]), "target": stretch(audio["target"])}


def seed_step(seed: int, step: int, rank: int) -> None:
    """Strategies that draw inside a step draw the same after a resume."""
    torch.manual_seed(integer(seed, "train/step", step, rank) >> 1)


class Stepper:
    """Runs steps. ``prepare`` turns a batch into tensors "input", "target", "reference" on the device."""

    def __init__(self, model: nn.Module, objective: Objective, optimiser: torch.optim.Optimizer, clip_norm: float, prepare):
        self.model, self.objective, self.optimiser = model, objective, optimiser
        self.clip_norm, self.prepare = clip_norm, prepare
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]

    def __call__(self, batches: Iterator[Batch], passes: int, rate: float) -> dict[str, float]:
        """One step over the next ``passes`` batches at learning rate ``rate`` -> this rank's mean loss terms."""
        sums, seen = torch.zeros(3, dtype=torch.float64), []
        self.optimiser.zero_grad(set_to_none=True)
        for number in range(passes):
            batch = next(batches)
            seen.append(batch)
            last = number == passes - 1
            wait = nullcontext() if last or not isinstance(self.model, DistributedDataParallel) else self.model.no_sync()
            with wait:
                audio = self.prepare(batch)
                output, _ = self.model(audio["input"], audio["reference"], segment=audio.get("segment"))
                terms = self.objective(output, audio["target"])
                (terms.loss / passes).backward()
            sums += torch.stack([terms.loss, terms.mr_stft, terms.l1]).detach().double().cpu() / passes
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        if self._any_rank(not (math.isfinite(float(sums.sum())) and math.isfinite(float(norm)))):
            self._explain(seen)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return {**dict(zip(("loss", "mr_stft", "l1"), sums.tolist(), strict=True)), "gradient_norm": float(norm)}

    def _any_rank(self, flag: bool) -> bool:
        """True on every rank when it is true on any: ranks stop together."""
        if not isinstance(self.model, DistributedDataParallel):
            return flag
        return total(torch.tensor(float(flag), device=self.parameters[0].device)).item() > 0

    @torch.no_grad()
    def _explain(self, batches: list[Batch]) -> None:
        """Name the samples whose own loss is not finite, or all of the step's."""
        model = self.model.module if isinstance(self.model, DistributedDataParallel) else self.model
        bad, keys = [], []
        for batch in batches:
            audio = self.prepare(batch)
            output, _ = model(audio["input"], audio["reference"], segment=audio.get("segment"))
            finite = torch.isfinite(self.objective.per_item(output, audio["target"]).loss)
            keys += batch.keys
            bad += [key for key, good in zip(batch.keys, finite.tolist(), strict=True) if not good]
        if dist.is_initialized() and dist.get_world_size() > 1:
            everyone: list = [None] * dist.get_world_size()
            dist.all_gather_object(everyone, (bad, keys))
            bad, keys = (sorted({k for part in everyone for k in part[i]}) for i in (0, 1))
        what = f"the loss of {', '.join(bad)}" if bad else f"the gradient of a batch with {', '.join(keys)}"
        raise DivergedError(f"{what} is not finite; look at these samples, or resume with a lower optimiser.learning_rate")
