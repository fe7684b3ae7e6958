"""One optimisation step: forward and backward over the rank's micro-batches, the NaN guard, clipping, the update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stylefx.corpus.batch import Batch
from stylefx.differentiable.losses import MultiResolutionSTFTLoss
from stylefx.errors import StylefxError
from stylefx.keyed import Draw, integer
from stylefx.models.intents import BALANCE
from stylefx.models.solver.averages import AveragesEncoder
from stylefx.training.loop.outcome import Outcome
from stylefx.training.loop.recorded import RecordedPass
from stylefx.training.processes.distributed import total

if TYPE_CHECKING:
    import numpy as np


class DivergedError(StylefxError):
    """A loss or a gradient was not finite."""


@dataclass(frozen=True)
class Terms:
    """Loss terms of a batch, scalars or per item."""

    loss: Tensor
    mr_stft: Tensor
    l1: Tensor


class Objective(nn.Module):
    """What a step lowers. To the target: MR-STFT + ``l1_weight`` x L1 of (output, target), (batch, channels, samples) each.
    Items that ``audio["balance"]`` marks: ``balance_weight`` per dB between the output's averages and the reference's.
    ``restraint`` times what an item's MR-STFT to the target is above the input's comes on top.
    """

    def __init__(self, l1_weight: float, balance_weight: float = 0.0, sample_rate: float = 0.0, restraint: float = 0.0):
        super().__init__()
        self.l1_weight, self.balance_weight, self.sample_rate = l1_weight, balance_weight, sample_rate
        self.restraint = restraint
        self.mr_stft = MultiResolutionSTFTLoss()
        self.mr_stft_items = MultiResolutionSTFTLoss(reduction="none")
        self.averages = AveragesEncoder()

    def forward(self, output: Tensor, audio: dict[str, Tensor]) -> Terms:
        """``audio``: "input", "target", "reference" and where only a stretch is rendered "segment"."""
        marked = audio.get("balance")
        some = marked is not None and bool(marked.any())
        if some or self.restraint:
            terms = self.per_item(output, audio["target"])
            loss = terms.loss + self._harm(terms.mr_stft, audio) if self.restraint else terms.loss.clone()
            if marked is None or not some:
                return Terms(loss.mean(), terms.mr_stft.mean(), terms.l1.mean())
            loss[marked] = self.balance_weight * self._unbalance(output[marked], {k: v[marked] for k, v in audio.items()})
            return Terms(loss.mean(), terms.mr_stft.mean(), terms.l1.mean())
        mr_stft, l1 = self.mr_stft(output, audio["target"]), (output - audio["target"]).abs().mean()
        return Terms(mr_stft + self.l1_weight * l1, mr_stft, l1)

    def per_item(self, output: Tensor, target: Tensor) -> Terms:
        mr_stft, l1 = self.mr_stft_items(output, target), (output - target).abs().mean(dim=(1, 2))
        return Terms(mr_stft + self.l1_weight * l1, mr_stft, l1)

    def _harm(self, after: Tensor, audio: dict[str, Tensor]) -> Tensor:
        """What the items (items,) lose by the effects: nothing where the output is nearer to the target than the input is."""
        with torch.no_grad():
            before = self.mr_stft_items(audio["segment" if "segment" in audio else "input"], audio["target"])
        return self.restraint * (after - before).clamp_min(0.0)

    def _unbalance(self, output: Tensor, audio: dict[str, Tensor]) -> Tensor:
        """dB (items,) from the reference's averages. What the effects change is heard on the stretch that they rendered, and
        added to the averages of the whole input: a stretch alone would not be like any whole."""
        stretch = "segment" if "segment" in audio else "input"
        with torch.no_grad():
            whole, before, wanted = (self.averages(audio[name], self.sample_rate) for name in ("input", stretch, "reference"))
        return self.averages.distance_db(whole + self.averages(output, self.sample_rate) - before, wanted)


def to_device(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """The batch's pairs as tensors on the device."""
    arrays = {name: getattr(batch, name) for name in ("input", "target", "reference")}
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items() if a is not None}
    if device.type == "cuda":
        return {name: (t if t.is_pinned() else t.pin_memory()).to(device, non_blocking=True) for name, t in tensors.items()}
    return tensors


def pinned(shape: tuple[int, ...]) -> np.ndarray:
    """Memory that readers fill and the device copies from: float32, not set to anything."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()


def cut(audio: dict[str, Tensor], starts: list[int], length: int) -> dict[str, Tensor]:
    """Keep ``length`` samples of every item's target, from its start; the same stretch of the input becomes "segment"."""
    if length >= audio["input"].shape[-1]:
        return audio

    def stretch(whole: Tensor) -> Tensor:
        return torch.stack([item[:, start : start + length] for item, start in zip(whole, starts, strict=True)])

    return audio | {"segment": stretch(audio["input"]), "target": stretch(audio["target"])}


def draw_intents(batch: Batch, intents: tuple[str, ...], balance_share: float, seed: int) -> dict[str, Tensor]:
    """Of every item the place of its intent, and whether that is the balance; keyed by (seed, epoch, key). Nothing where the
    model knows one."""
    if BALANCE not in intents or not balance_share:
        return {}
    items = zip(batch.epochs, batch.keys, strict=True)
    marked = torch.tensor([Draw(seed, "train/intent", f"{epoch}/{key}").chance(balance_share) for epoch, key in items])
    return {"balance": marked, "intent": torch.where(marked, intents.index(BALANCE), 0)}


def seed_step(seed: int, step: int, rank: int) -> None:
    """Strategies that draw inside a step draw the same after a resume."""
    torch.manual_seed(integer(seed, "train/step", step, rank) >> 1)


class Stepper:
    """Runs steps. ``prepare`` turns a batch into tensors "input", "target", "reference" on the device; ``beside`` is a loss that
    needs no audio, added once a step. With ``say`` passes are recorded as CUDA graphs, and it is told where that cannot be.

    ``late``: nothing is read from the device in a step, and ``read`` is called a step later. A step that is not finite changes
    no weights all the same: the (fused) optimiser passes over it, as over one that overflowed in half precision."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        clip_norm: float,
        prepare: Callable[[Batch], dict[str, Tensor]],
        beside: Callable[[], Tensor] | None = None,
        say: Callable[[str], None] | None = None,
        late: bool = False,
    ):
        self.late = late
        self.model, self.objective, self.optimiser, self.beside = model, objective, optimiser, beside
        self.clip_norm, self.prepare, self._say = clip_norm, prepare, say
        self._recorded: RecordedPass | None = None
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]

    def __call__(self, batches: Iterator[Batch], passes: int, rate: float) -> Outcome | None:
        """One step over the next ``passes`` batches at learning rate ``rate`` -> this rank's mean loss terms, for ``read``.

        None, and nothing changes, where any rank got a placeholder in place of a batch: it was asked to stop meanwhile.
        """
        sums, seen = torch.zeros(3, dtype=torch.float64, device=self.parameters[0].device), []
        distributed, given_up = isinstance(self.model, DistributedDataParallel), False
        self.optimiser.zero_grad(set_to_none=True)
        for number in range(passes):
            batch = next(batches)
            last = number == passes - 1
            given_up = given_up or batch.is_placeholder
            if given_up and not (last and distributed):  # the other ranks wait for this one's last gradients
                continue
            seen.append(batch)
            wait = nullcontext() if last or not isinstance(self.model, DistributedDataParallel) else self.model.no_sync()
            with wait:
                sums += self._pass(self.prepare(batch), passes, last).double() / passes
        if given_up and not distributed:
            return None
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        outcome = Outcome(terms := torch.cat([sums, norm.double()[None]]), seen)
        if self.late:
            self.optimiser.found_inf = 1.0 - torch.isfinite(terms).all().float()  # type: ignore[attr-defined]  # as of a GradScaler
        else:
            given_up, diverged = self._any_rank(given_up, not outcome.is_finite())  # the only look at the device in a step
            if given_up:
                return None
            if diverged:
                self._explain(seen)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return outcome

    def read(self, outcome: Outcome) -> dict[str, float]:
        """The terms of a step; DivergedError where they are not finite."""
        if not outcome.is_finite():
            self._explain(outcome.batches)
        return outcome.values()

    def _pass(self, audio: dict[str, Tensor], passes: int, last: bool) -> Tensor:
        """Forward and backward of a batch -> its loss, distance and difference."""
        apart = isinstance(self.model, DistributedDataParallel) or self.beside is not None or "balance" in audio
        if self._say is None or apart:
            return self._plain_pass(audio, passes, last)
        if self._recorded is None:
            self._recorded = RecordedPass(lambda audio: self._plain_pass(audio, passes, last=True), self.model, self.parameters)
        try:
            return self._recorded(audio)
        except RuntimeError as error:
            if torch.cuda.OutOfMemoryError is type(error):
                raise
            self._say(f"this step cannot be a CUDA graph ({str(error).splitlines()[0]}); it is launched kernel by kernel")
            self._say, self._recorded = None, None
            return self._plain_pass(audio, passes, last)

    def _plain_pass(self, audio: dict[str, Tensor], passes: int, last: bool) -> Tensor:
        output, _ = self.model(audio["input"], audio["reference"], segment=audio.get("segment"), intent=audio.get("intent"))
        terms = self.objective(output, audio)
        beside = self.beside() if self.beside is not None and last else 0.0
        (terms.loss / passes + beside).backward()
        return torch.stack([terms.loss, terms.mr_stft, terms.l1]).detach()

    def _any_rank(self, *flags: bool) -> list[bool]:
        """Each True on every rank when it is true on any: ranks stop together."""
        if not isinstance(self.model, DistributedDataParallel):
            return list(flags)
        sums = total(torch.tensor(flags, dtype=torch.float32, device=self.parameters[0].device))
        return [flag > 0 for flag in sums.tolist()]

    @torch.no_grad()
    def _explain(self, batches: list[Batch]) -> None:
        """Name the samples whose own loss is not finite, or all of the step's."""
        model = self.model.module if isinstance(self.model, DistributedDataParallel) else self.model
        bad, keys = [], []
        for batch in batches:
            audio = self.prepare(batch)
            output, _ = model(audio["input"], audio["reference"], segment=audio.get("segment"), intent=audio.get("intent"))
            finite = torch.isfinite(self.objective.per_item(output, audio["target"]).loss)
            keys += batch.keys
            bad += [key for key, good in zip(batch.keys, finite.tolist(), strict=True) if not good]
        if dist.is_initialized() and dist.get_world_size() > 1:
            everyone: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(everyone, (bad, keys))
            bad, keys = (sorted({k for part in everyone for k in part[i]}) for i in (0, 1))
        what = f"the loss of {', '.join(bad)}" if bad else f"the gradient of a batch with {', '.join(keys)}"
        raise DivergedError(f"{what} is not finite; look at these samples, or resume with a lower optimiser.learning_rate")
