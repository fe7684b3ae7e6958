"""Transfers across content: one recording gets the style of another, and what the same effects make of it is the truth.

Of every kind (label) contents are taken from all groups in turn, references from another group of the same kind. Styles are
the five of the paper, of which three are extreme, what a producer does, a band pass, gentle ones, and none at all; every
twelve items of a kind hold all of them, in a drawn order. Choice, partner and style are keyed: item ``speech-0007`` is the
same test on any machine, and more items contain fewer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stylefx import keyed
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.errors import UserError
from stylefx.evaluation.content import STYLES, apply_style, dry_half, style_steps
from stylefx.evaluation.pairs import Pair
from stylefx.foreign import OWN
from stylefx.keyed import Draw

NONE, GENTLE, PRODUCED, BAND_PASS = "none", "gentle", "produced", "band-pass"
STYLE_BLOCK = (*STYLES, PRODUCED, PRODUCED, PRODUCED, BAND_PASS, GENTLE, GENTLE, NONE)
_LEVEL = {"step": "normalise", "peak_dbfs": -12.0}


@dataclass(frozen=True)
class PlannedTransfer:
    """One item before any audio is read: which half of which content, in which style, with which reference."""

    name: str
    style: str
    content: SampleRef
    content_half: str
    reference: SampleRef
    reference_half: str
    seed: int

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The effects and levels that make truth and reference; none for nothing to do."""
        return steps_of(self.style, self.seed, self.name)


def plan_transfers(refs: Sequence[SampleRef], items: int, seed: int) -> list[PlannedTransfer]:
    """``items`` transfers of each kind that has at least two groups; UserError where no kind has."""
    kinds: dict[str, dict[str, list[SampleRef]]] = defaultdict(lambda: defaultdict(list))
    for ref in refs:
        kinds[ref.label or ""][ref.group].append(ref)
    usable = {kind: groups for kind, groups in kinds.items() if len(groups) > 1}
    if not usable:
        raise UserError(
            "references must come from another group of the same kind (label), and no kind of the split has two groups; "
            "choose another split, or build the corpus with more groups in it"
        )
    return [planned for kind in sorted(usable) for planned in _plan_kind(kind, usable[kind], items, seed)]


def _plan_kind(kind: str, groups: dict[str, list[SampleRef]], items: int, seed: int) -> list[PlannedTransfer]:
    order = sorted(groups, key=lambda group: keyed.integer("transfer group", group))
    shuffled = {g: sorted(refs, key=lambda r: keyed.integer("transfer content", r.key)) for g, refs in groups.items()}
    out = []
    for i in range(items):
        name = f"{kind or 'item'}-{i:04d}"
        group = order[i % len(order)]
        content = shuffled[group][i // len(order) % len(groups[group])]
        draw = Draw(seed, "transfer reference", name)
        reference = draw.choice(shuffled[draw.choice([g for g in order if g != group])])
        halves = [draw.choice("ab"), draw.choice("ab")]
        out.append(PlannedTransfer(name, _style(kind, i, seed), content, halves[0], reference, halves[1], seed))
    return out


def _style(kind: str, number: int, seed: int) -> str:
    """The style in its place of the block's drawn order."""
    block, place = divmod(number, len(STYLE_BLOCK))
    order = sorted(range(len(STYLE_BLOCK)), key=lambda i: keyed.integer(seed, "transfer style", kind, block, i))
    return STYLE_BLOCK[order[place]]


def steps_of(style: str, seed: int, identity: str) -> list[dict[str, Any]]:
    """Effects and levels of one drawing of a style."""
    drawn = {NONE: lambda seed, identity: [], GENTLE: gentle_steps, PRODUCED: produced_steps, BAND_PASS: band_pass_steps}
    return drawn[style](seed, identity) if style in drawn else style_steps(style, seed, identity)


def gentle_steps(seed: int, identity: str) -> list[dict[str, Any]]:
    """What a careful hand does: shelves and a presence band of 1 to 3 dB up or down, and in half of the cases a little
    compression (ratio up to 2)."""
    draw = Draw(seed, "transfer gentle style", identity)
    eq = _shelves_and_bell(draw, (1.0, 3.0), (1000, 4000))
    return _steps(eq, _compression(draw, (-35, -20), (1.3, 2.0)))


def produced_steps(seed: int, identity: str) -> list[dict[str, Any]]:
    """What makes a sound of its own: shelves and a band of 3 to 9 dB up or down, and in half of the cases a compressor of a
    ratio of 2 to 4."""
    draw = Draw(seed, "transfer produced style", identity)
    eq = _shelves_and_bell(draw, (3.0, 9.0), (400, 4000))
    return _steps(eq, _compression(draw, (-40, -25), (2.0, 4.0)))


def band_pass_steps(seed: int, identity: str) -> list[dict[str, Any]]:
    """A small loudspeaker or a line: a high pass and a low pass of 12 dB an octave, and a bump of up to 9 dB between them."""
    draw = Draw(seed, "transfer band pass", identity)
    bands = [{"name": "low", "kind": "high_pass"}, {"name": "bump", "kind": "peak"}, {"name": "high", "kind": "low_pass"}]
    eq = {"low_cutoff_hz": draw.log_uniform(150, 400), "low_q": 0.707}
    eq |= {"bump_gain_db": draw.uniform(0.0, 9.0), "bump_cutoff_hz": draw.log_uniform(1000, 2000), "bump_q": 0.707}
    eq |= {"high_cutoff_hz": draw.log_uniform(2500, 6000), "high_q": 0.707}
    return [{"step": "effect", "effect": "parametric_eq", "config": {"bands": bands}, "settings": eq}, _LEVEL]


def _shelves_and_bell(draw: Draw, gain_db: tuple[float, float], bell_hz: tuple[float, float]) -> dict[str, float]:
    def gain() -> float:
        return draw.choice((-1.0, 1.0)) * draw.uniform(*gain_db)

    eq = {"low_shelf_gain_db": gain(), "low_shelf_cutoff_hz": draw.log_uniform(100, 250), "low_shelf_q": 0.707}
    eq |= {"band1_gain_db": gain(), "band1_cutoff_hz": draw.log_uniform(*bell_hz), "band1_q": draw.uniform(0.5, 1.5)}
    return eq | {"high_shelf_gain_db": gain(), "high_shelf_cutoff_hz": draw.log_uniform(4000, 8000), "high_shelf_q": 0.707}


def _compression(draw: Draw, threshold_db: tuple[float, float], ratio: tuple[float, float]) -> dict[str, float]:
    """Settings of a compressor, or none."""
    if not draw.chance(0.5):
        return {}
    values = {"threshold_db": draw.uniform(*threshold_db), "ratio": draw.uniform(*ratio)}
    return values | {"attack_ms": draw.uniform(5, 30), "release_ms": draw.uniform(80, 250), "knee_db": 6.0}


def _steps(eq: dict[str, float], compressor: dict[str, float]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"step": "effect", "effect": "parametric_eq", "settings": eq}, _LEVEL]
    return [*steps, {"step": "effect", "effect": "compressor", "settings": compressor}, _LEVEL] if compressor else steps


def make_pair(corpus: Corpus, planned: PlannedTransfer, engine: str = OWN) -> Pair:
    """Read and render one item: input = the content as it is, reference = the other content in the style, target = the truth.

    Both branches are normalised and processed on their own, so that no level leaks from the content to the reference.
    """
    rate, steps = corpus.sample_rate, planned.steps
    content = dry_half(corpus, planned.content, planned.content_half)
    other = dry_half(corpus, planned.reference, planned.reference_half)
    plain, truth, reference = (apply_style(x, s, rate, engine) for x, s in ((content, []), (content, steps), (other, steps)))
    ref = planned.content
    return Pair(planned.name, ref.source, ref.group, planned.content_half, rate, plain, reference, truth, ref.label or "")
