"""Averages of dry recordings, taken once: from them pairs for the curve are made by adding curves, without any audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stylefx.audio.quantise import as_samples
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.keyed import integer
from stylefx.models.solver.averages import AveragesEncoder
from stylefx.training.warm_up.styled import in_styles, levelled, others_settings

_ITEMS_AT_ONCE = 8


@dataclass(frozen=True)
class DryAverages:
    """``rows`` (items, 2 halves, 2 versions, D): as they are, and through the chain's other effects with drawn controls.
    ``members``: kind (label) -> group -> item numbers. ``styled`` (items, styles, D) are one half in drawn styles, whose curves
    are ``styled_db`` (items, styles, bands), and ``styled_half`` (items,) says which half; empty where none were asked for."""

    rows: Tensor
    members: dict[str, dict[str, list[int]]]
    styled: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0))
    styled_db: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0))
    styled_half: np.ndarray = field(default_factory=lambda: np.empty(0, int))


def chosen_samples(corpora: Sequence[Corpus], count: int, seed: int) -> list[tuple[Corpus, SampleRef]]:
    """Up to ``count`` training samples in a keyed order, every group in turn, so that large ones do not crowd out small ones."""
    groups: dict[tuple[int, str], list[tuple[Corpus, SampleRef]]] = {}
    for number, corpus in enumerate(corpora):
        for ref in corpus.samples("train"):
            groups.setdefault((number, ref.group), []).append((corpus, ref))
    for members in groups.values():
        members.sort(key=lambda m: integer(seed, "warm-up/sample", m[1].key))
    order = sorted(groups, key=lambda name: integer(seed, "warm-up/group", name[1]))
    taken: list[tuple[Corpus, SampleRef]] = []
    for turn in range(max(len(m) for m in groups.values())):
        taken += [groups[name][turn] for name in order if turn < len(groups[name])]
        if len(taken) >= count:
            break
    return taken[:count]


def measure_dry(
    encoder: AveragesEncoder,
    chain: EffectChain,
    corpora: Sequence[Corpus],
    count: int,
    seed: int,
    report: Callable[[int], None] = lambda done: None,
    curves: Tensor | None = None,
) -> DryAverages:
    """Read, process and average ``count`` samples; UserError where the corpora hold no dry halves. ``curves`` (count, styles,
    bands) dB: every sample is rendered in so many styles too."""
    for corpus in corpora:
        if corpus.extras not in ("dry", "both"):
            raise UserError(
                f"{corpus.store} stores no dry halves, which warm_up.curve_steps starts from; build it with store: dry, "
                "or set warm_up.curve_steps: 0"
            )
    others = _dynamics_of(chain)
    taken = chosen_samples(corpora, count, seed)
    # One block from the start: rows kept one by one would pin the freed audio between them, megabytes an item.
    rows = torch.empty(len(taken), 2, 2, encoder.embedding_size)
    curves = torch.empty(count, 0, encoder.num_bands) if curves is None else curves
    curves = curves[: len(taken)]
    styled = torch.empty(*curves.shape[:2], encoder.embedding_size)
    styled_half = np.array([integer(seed, "warm-up/styled half", ref.key) % 2 for _, ref in taken])
    members: dict[str, dict[str, list[int]]] = {}
    rate, bands_hz = taken[0][0].sample_rate, encoder.centres_hz.numpy()

    def averages(audio: np.ndarray) -> Tensor:
        """(..., samples) -> (..., D)"""
        flat = torch.from_numpy(audio).flatten(0, -2)[:, None]
        device = next(encoder.buffers(), torch.empty(0)).device
        with torch.inference_mode():
            return encoder(flat.to(device), rate).cpu().reshape(*audio.shape[:-1], -1)

    for batch in _batched(len(taken)):
        halves = {i: _dry(*taken[i]) for i in batch}
        rows[batch.start : batch.stop] = averages(
            np.stack([_versions(halves[i], others, rate, seed, taken[i][1].key) for i in batch])
        )
        for i in batch:
            ref = taken[i][1]
            members.setdefault(ref.label or "", {}).setdefault(ref.group, []).append(i)
            if curves.shape[1]:
                half = halves[i][styled_half[i]]
                styled[i] = averages(in_styles(half, curves[i].numpy(), bands_hz, others, rate, seed, ref.key))
        report(batch[-1] + 1)
    return DryAverages(rows, members, styled, curves, styled_half)


def _batched(count: int) -> Iterator[range]:
    for start in range(0, count, _ITEMS_AT_ONCE):
        yield range(start, min(start + _ITEMS_AT_ONCE, count))


def _dynamics_of(chain: EffectChain) -> EffectChain:
    """The effects of a chain that are no equalisers."""
    return EffectChain(tuple(slot for slot in chain.slots if not hasattr(slot.effect, "response_db")))


def _versions(halves: Sequence[np.ndarray], others: EffectChain, rate: float, seed: int, key: str) -> np.ndarray:
    """Two halves (1, samples) -> float32 (2 halves, 2 versions, samples), each with its peak at -12 dBFS."""
    settings = others_settings(others, seed, key)
    wet = [levelled(others.render(levelled(dry), settings, rate)) for dry in halves]
    return np.stack([np.concatenate([levelled(dry), w]) for dry, w in zip(halves, wet, strict=True)])


def _dry(corpus: Corpus, ref: SampleRef) -> list[np.ndarray]:
    """Both halves, one channel each."""
    halves = corpus.read(ref, ["a.dry", "b.dry"], 0, corpus.half_frames)
    return [as_samples(halves[name].mean(axis=0, keepdims=True)) for name in ("a.dry", "b.dry")]
