"""One process or many: the rank's place, set up from the variables that torchrun (or Ray Train) provides."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from stylefx.errors import UserError


@dataclass(frozen=True)
class Place:
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
    return device


@contextmanager
def join(device: str = "auto", timeout_s: float = 600.0) -> Iterator[Place]:
    """Join the process group when WORLD_SIZE is set (nccl on CUDA, gloo on CPUs) and leave it at the end."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = choose_device(device, local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    ours = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if ours:
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=datetime.timedelta(seconds=timeout_s))
    try:
        yield Place(rank, world, chosen)
    finally:
        if ours and dist.is_initialized():
            dist.destroy_process_group()


def total(values: Tensor) -> Tensor:
    """Sum over all ranks, in place."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def wait_for_all() -> None:
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.barrier()
