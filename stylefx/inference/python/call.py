"""``stylefx.transfer``."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from stylefx.audio.reading import read_audio
from stylefx.errors import UserError
from stylefx.inference.options import TransferOptions
from stylefx.inference.python.result import TransferResult
from stylefx.inference.python.sources import Audio, alike, as_file, is_file
from stylefx.inference.transfer import StyleTransfer
from stylefx.models.checkpoint import SHIPPED
from stylefx.nearest import did_you_mean

_tools: dict[tuple[str, str], StyleTransfer] = {}
_lock = threading.Lock()


def transfer(
    audio: Audio,
    reference: Audio | Sequence[Audio],
    sample_rate: int | None = None,
    *,
    reference_rate: int | None = None,
    out: str | PathLike[str] | None = None,
    model: str | PathLike[str] = SHIPPED,
    device: str = "cpu",
    overwrite: bool = False,
    **options: Any,
) -> TransferResult:
    """Make ``audio`` sound produced like ``reference`` (one, or a list); what ``stylefx transfer`` does, sample for sample.

    Both are files, NumPy arrays or torch tensors, (channels, samples) in floating point; mono may have one axis.
    ``sample_rate`` (Hz) is that of the arrays, ``reference_rate`` that of reference arrays where it is another. The result's
    ``audio`` is of the kind of the input. ``out`` also writes a file and its settings beside it. ``model``: "shipped", another
    that comes with stylefx, a checkpoint or the folder of a run; it stays loaded. ``options``: those of ``TransferOptions``,
    such as intensity=0.8, loudness="as-is", refine_steps=20.

    Raises UserError, one sentence, for anything that cannot be heard or written.
    """
    references = list(reference) if isinstance(reference, list | tuple) else [reference]
    _check_rates(audio, references, sample_rate, reference_rate)
    wanted = _options(options)
    with tempfile.TemporaryDirectory(prefix="stylefx-") as name:
        folder = Path(name)
        source = as_file(audio, sample_rate, folder, "input", "audio")
        rate = reference_rate or sample_rate
        styles = [as_file(r, rate, folder, f"reference-{n}", _called(n, references)) for n, r in enumerate(references)]
        target = folder / "output.wav" if out is None else Path(fspath(out))
        if out is None:
            wanted = replace(wanted, bits=wanted.bits or "float")
        done = _tool(model, device).transfer(source, styles, target, wanted, overwrite=overwrite)
        rendered, rate = read_audio(target)
    return TransferResult(
        alike(rendered, audio), rate, done.style, done.rendered, None if out is None else done.output, (audio, sample_rate),
        (references[0], reference_rate or sample_rate),
    )  # fmt: skip


def _called(number: int, references: list[Any]) -> str:
    return "reference" if len(references) == 1 else f"reference {number + 1}"


def _check_rates(audio: Any, references: list[Any], sample_rate: int | None, reference_rate: int | None) -> None:
    """UserError for a rate that nothing would use: a file states its own."""
    if sample_rate is not None and all(map(is_file, [audio, *references])):
        raise UserError(f"sample_rate is {sample_rate}, but every recording is a file, which states its own; leave it out")
    if reference_rate is not None and all(map(is_file, references)):
        raise UserError(f"reference_rate is {reference_rate}, but every reference is a file, which states its own; leave it out")


def _options(given: dict[str, Any]) -> TransferOptions:
    known = [field.name for field in fields(TransferOptions)]
    for name in given:
        if name not in known:
            raise UserError(f"transfer has no option {name!r}{did_you_mean(name, known, 'it has ' + ', '.join(known))}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    options = replace(TransferOptions(), **values)
    options.check()
    return options


def _tool(model: str | PathLike[str], device: str) -> StyleTransfer:
    """The loaded model; one of a path is loaded once for as long as the process lives."""
    key = (fspath(model), device)
    with _lock:
        if key not in _tools:
            _tools[key] = StyleTransfer(key[0], device)
        return _tools[key]
