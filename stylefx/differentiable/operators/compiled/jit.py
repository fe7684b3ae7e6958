"""Compilation of the gradient loops, and how rows are spread over threads.

Unlike the renders of ``stylefx.effects`` these loops may contract multiply and add, and sums over many products may be
reordered; they promise accuracy and on one processor always the same bits, not the same bits on every one. A kernel
takes a range of rows and releases the interpreter lock, so plain threads run several at once: no parallel runtime to
start, nothing that breaks after a fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import torch

from stylefx.effects.kernels.jit import _choose_cache

BLOCK = 512  # samples between two checkpoints: the working set of a backward sweep stays in the first-level cache
TINY = 1e-100  # states below this are zero: they would decay into denormals, which are a hundred times slower

_CONTRACTED, _REORDERED = {"contract"}, {"contract", "reassoc", "nsz"}

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def recursion_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use and keep on disk; additions keep their order: it decides how long a recursion waits for itself."""
    return _compiled(function, _CONTRACTED)


def sum_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for loops whose sums may be reordered, and so become vector code."""
    return _compiled(function, _REORDERED)


def recursion_part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A ``recursion_kernel`` that only kernels call. It becomes part of each of them: two compiled forms of it would round in
    two ways, and which one a call reaches would differ between a process that compiles and one that finds a cache."""
    return _compiled(function, _CONTRACTED, forceinline=True)


def sum_part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A ``sum_kernel`` that only kernels call; part of each of them, as a ``recursion_part``."""
    return _compiled(function, _REORDERED, forceinline=True)


def _compiled(function: Callable[..., Any], freedoms: set[str], **options: Any) -> Callable[..., Any]:
    _choose_cache(Path(function.__code__.co_filename))
    return numba.njit(cache=True, nogil=True, fastmath=freedoms, error_model="numpy", **options)(function)


def blocks(samples: int) -> int:
    return (samples + BLOCK - 1) // BLOCK


def for_rows(kernel: Callable[..., Any], rows: int, *arguments: Any) -> None:
    """Call ``kernel(first, last, *arguments)`` over all rows, on as many threads as torch may use."""
    threads = min(torch.get_num_threads(), rows)
    if threads <= 1:
        kernel(0, rows, *arguments)
        return
    key = (os.getpid(), threads)  # a forked child has none of its parent's threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="stylefx")
    edges = [rows * i // threads for i in range(threads + 1)]
    jobs = [_pools[key].submit(kernel, edges[i], edges[i + 1], *arguments) for i in range(1, threads)]
    kernel(edges[0], edges[1], *arguments)
    for job in jobs:
        job.result()
