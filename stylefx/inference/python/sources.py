"""What can be heard from Python: a file's path, a NumPy array or a torch tensor, one order of axes."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylefx.audio.quantise import as_samples
from stylefx.audio.writing import write_audio
from stylefx.errors import UserError

Audio = str | PathLike[str] | np.ndarray | torch.Tensor


def is_file(audio: Any) -> bool:
    return isinstance(audio, str | PathLike)


def as_array(audio: Any, what: str) -> np.ndarray:
    """float32 (channels, samples) of an array or tensor; mono may have one axis. UserError in a sentence for anything else."""
    if isinstance(audio, torch.Tensor):
        audio = audio.detach().cpu()
        audio = audio.numpy() if audio.dtype != torch.bfloat16 else audio.float().numpy()
    if not isinstance(audio, np.ndarray):
        raise UserError(f"{what} is a {type(audio).__name__}; give a file, or an array or tensor (channels, samples)")
    if audio.dtype.kind != "f":
        raise UserError(f"{what} holds {audio.dtype}; give floating point in -1..1 (of int16: array / 32768)")
    try:
        return as_samples(audio)
    except UserError as error:
        raise UserError(f"{what}: {error}") from error


def as_file(audio: Any, rate: int | None, folder: Path, name: str, what: str) -> Path:
    """The path of a file, or of a float WAV of an array, which holds it exactly."""
    if is_file(audio):
        return Path(fspath(audio))
    array = as_array(audio, what)
    if rate is None:
        raise UserError(f"{what} is an array, so its rate is not known; give sample_rate in Hz")
    if rate != int(rate) or rate <= 0:
        raise UserError(f"{what}: sample_rate is {rate!r}; give a whole number of Hz")
    path = folder / f"{name}.wav"
    write_audio(path, array, int(rate), "float32")
    return path


def alike(audio: np.ndarray, given: Any) -> np.ndarray | torch.Tensor:
    """``audio`` as the caller's kind of array: a tensor on its device, one axis where it had one."""
    if is_file(given):
        return audio
    if given.ndim == 1:
        audio = audio[0]
    return torch.from_numpy(audio).to(given.device) if isinstance(given, torch.Tensor) else audio
