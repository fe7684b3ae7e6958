"""One process or many: the rank's place, set up from the variables that torchrun (or Ray Train) provides."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from stylefx.errors import StylefxError, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Rank:
    """This process among ``world``; ``device`` is its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def choose_device(wanted: str, local_rank: int) -> torch.device:
    """ "auto" takes a CUDA device per local rank, else the CPU."""
    if wanted == "auto":
        wanted = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    elif wanted == "cuda":
        wanted = f"cuda:{local_rank}"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UserError(f"device is {wanted!r}; give auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device is {wanted!r}, but this torch sees no CUDA device; use device=cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device is {wanted!r}, but this process sees {torch.cuda.device_count()} CUDA device(s), counted from 0; "
            "start as many processes on a machine as it has, or choose another device"
        )
    return device


def _local_rank(world: int, device: str) -> int:
    """This process's number on its machine; UserError where it decides which CUDA device is whose, and nothing says it."""
    text = os.environ.get("LOCAL_RANK")
    if text is None and world > 1 and (device == "cuda" or (device == "auto" and torch.cuda.is_available())):
        raise UserError(
            f"WORLD_SIZE is {world} and LOCAL_RANK is not set, so that every process would take the first CUDA device; "
            "start with torchrun, or set LOCAL_RANK to the process's number on its machine (under srun: $SLURM_LOCALID)"
        )
    return int(text or "0")


@contextmanager
def join(device: str = "auto", timeout_s: float = 600.0) -> Iterator[Rank]:
    """Join the process group when WORLD_SIZE is set (nccl on CUDA, gloo on CPUs) and leave it at the end."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, _local_rank(world, device))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    ours = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if ours:
        _begin("nccl" if chosen.type == "cuda" else "gloo", datetime.timedelta(seconds=timeout_s))
    try:
        yield Rank(rank, world, chosen)
    finally:
        if ours and dist.is_initialized():
            dist.destroy_process_group()


def _begin(backend: str, timeout: datetime.timedelta) -> None:
    """The process group. torchrun's restarted workers find the store of the attempt before, with the addresses of ranks that
    are gone, and would wait for those until the time-out: every attempt has keys of its own."""
    store, rank, world = next(rendezvous("env://", timeout=timeout))
    store.set_timeout(timeout)
    name = f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    attempt = dist.PrefixStore(name, store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=world, timeout=timeout)


def total(values: Tensor) -> Tensor:
    """Sum over all ranks, in place."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def first_only(place: Rank, call: Callable[[], T]) -> T:
    """What ``call`` gives, made by the first rank alone and told to the others; an error of ours is raised by all of them."""
    if place.world == 1:
        return call()
    told: list[Any] = [None, None]
    if place.is_first:
        try:
            told[0] = call()
        except StylefxError as error:
            told[1] = error
    dist.broadcast_object_list(told)
    if told[1] is not None:
        told[1].said_by_another = not place.is_first
        raise told[1]
    return cast("T", told[0])


def any_of(flag: bool, place: Rank) -> bool:
    """True on every rank when it is true on any."""
    return flag if place.world == 1 else bool(total(torch.tensor(float(flag), device=place.device)).item() > 0)


def wait_for_all() -> None:
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.barrier()
