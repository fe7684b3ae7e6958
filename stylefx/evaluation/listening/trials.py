"""What is heard: per trial the truth, openly and hidden, an anchor, and the output of every system, all equally loud.

After MUSHRA (ITU-R BS.1534-3): the hidden reference shows who listens, the anchor (the truth without anything above 3.5 kHz)
keeps the scale's lower end in its place. Orders are drawn by key; which stimulus is which stands in a file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.signal

from stylefx import keyed
from stylefx.evaluation.across import NONE, PlannedTransfer, make_pair, plan_transfers
from stylefx.evaluation.job import EvaluationJob
from stylefx.evaluation.metrics.character import at_loudness

DEFAULT_TRIALS = 6
ANCHOR_HZ = 3500.0
HIDDEN, ANCHOR = "hidden reference", "anchor"
_FADE_S = 0.02
_LOUDEST = 0.98


@dataclass(frozen=True)
class Stimulus:
    """``identity`` is what the listener's answers name; ``system`` is what the listener must not know."""

    identity: str
    system: str
    audio: np.ndarray


@dataclass(frozen=True)
class Trial:
    name: str
    kind: str
    sample_rate: int
    reference: np.ndarray
    stimuli: tuple[Stimulus, ...]


def make_trials(job: EvaluationJob) -> list[Trial]:
    """``items`` trials of each kind (default 6) out of P9's items with something to do, in a drawn order."""
    wanted = job.items or DEFAULT_TRIALS
    plans = [p for p in plan_transfers(job.samples(), 2 * wanted + 1, job.seed) if p.style != NONE]
    chosen: list[PlannedTransfer] = []
    for kind in sorted({p.content.label or "" for p in plans}):
        chosen += [p for p in plans if (p.content.label or "") == kind][:wanted]
    chosen.sort(key=lambda p: keyed.integer(job.seed, "listening trial", p.name))
    return [_trial(job, planned) for planned in chosen]


def _trial(job: EvaluationJob, planned: PlannedTransfer) -> Trial:
    pair = make_pair(job.corpus, planned, job.engine)
    heard = {HIDDEN: pair.target, ANCHOR: low_passed(pair.target, pair.sample_rate)}
    heard |= {name: outcome.output for name, outcome in job.outcomes([pair])[0].items()}
    rate = pair.sample_rate
    equal = {name: prepared(audio, rate) for name, audio in heard.items() if np.isfinite(audio).all()}
    equal = together(equal)
    order = sorted(equal, key=lambda name: keyed.integer(job.seed, "listening order", planned.name, name))
    stimuli = tuple(Stimulus(_identity(job.seed, planned.name, name), name, equal[name]) for name in order)
    return Trial(planned.name, pair.label, rate, equal[HIDDEN], stimuli)


def _identity(seed: int, trial: str, system: str) -> str:
    return keyed.hex_digest(seed, "listening stimulus", trial, system, size=4)


def low_passed(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """The anchor: within 0.1 dB up to 3.5 kHz, 60 dB down from 4 kHz on."""
    sections = scipy.signal.ellip(10, 0.05, 30, ANCHOR_HZ, fs=sample_rate, output="sos")  # twice, there and back
    return scipy.signal.sosfiltfilt(sections, audio, axis=1)


def prepared(audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """At -23 LUFS, with fades of 20 ms so that a loop does not click; float64 (channels, samples)."""
    out = at_loudness(audio, sample_rate)
    count = min(round(_FADE_S * sample_rate), out.shape[1] // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(1, count))
    out[:, :count] *= ramp
    out[:, out.shape[1] - count :] *= ramp[::-1]
    return out


def together(signals: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All lowered alike where one would clip: equal loudness stays equal."""
    peak = max(float(np.abs(x).max(initial=0.0)) for x in signals.values())
    gain = min(1.0, _LOUDEST / peak) if peak > 0 else 1.0
    return {name: (x * gain).astype(np.float32) for name, x in signals.items()}


def key_rows(trials: Sequence[Trial]) -> list[list[str]]:
    """trial, stimulus, system: what the answers' stimuli were."""
    return [[trial.name, s.identity, s.system] for trial in trials for s in trial.stimuli]
