"""Readers of untrusted files under mutated inputs: every one must end in an answer or in one sentence, in time.

python -m benchmarks.fuzz                              # all readers, 10 000 inputs each
python -m benchmarks.fuzz tar settings --inputs 1000000 --seed 7

Inputs are drawn from a seed and a number, so that any of them can be made again: --only NUMBER runs one and shows its traceback.
Half of them are bytes cut, doubled, overwritten and spliced; for YAML and JSON the others are documents with values replaced
(manifests: as ``stylefx.build_corpus`` takes them, since a file's time is nearly all YAML's).
An input that takes longer than a few seconds is a hang and counts as a failure.
"""

from __future__ import annotations

import argparse
import copy
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fuzz_readers import READERS, Reader
from stylefx.errors import StylefxError

LIMIT_S = 10.0
_ODD = (
    None, True, False, 0, -1, 1, 2**63, -(2**63), 2**200, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), "", "x", "\n",
    "\x00", "é" * 9, "../../etc/passwd", "!!python/object/apply:os.system ['false']", "1e999", "0x", [], {}, [[]],
    [None], {"": None},
)  # fmt: skip
_TOKENS = (
    b"\0" * 8, b"\xff" * 8, b"..", b"/", b"%s%n", b"\x80\x04\x95", b"cos\nsystem\n", b"ustar\x00", b"0000000000\x00",
    b"77777777777",
    b"{", b"}", b"[", b"]", b":",
    b"- ", b"*a", b"&a", b"!!", b"\"", b"NaN", b"1e999", b"\r\n", b"\xef\xbb\xbf", b"PK\x05\x06",
)  # fmt: skip


@dataclass
class Found:
    """What a run found. ``failures``: (number of the input, what it met)."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    slowest_s: float = 0.0
    cpu_s: float = 0.0


def mutated(reader: Reader, seed: int, number: int) -> Any:
    """The input of this number, bytes; of a reader that takes documents as they are, half of the time one of these."""
    rng = random.Random(f"{seed}/{number}")
    if reader.dump is not None and rng.random() < 0.5:
        document = copy.deepcopy(rng.choice(reader.documents))
        for _ in range(rng.randint(1, 3)):
            document = _replaced(document, rng)
        return reader.dump(document)
    data = bytearray(rng.choice(reader.good))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        _damage(data, rng, reader.good)
    return bytes(data)


def _damage(data: bytearray, rng: random.Random, good: list[bytes]) -> None:
    at = rng.randint(0, len(data)) if data else 0
    end = min(len(data), at + rng.choice((1, 2, 4, 16, 64, 512)))
    kind = rng.randrange(7)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at:end] = rng.randbytes(end - at)
    elif kind == 2:
        del data[at:end]
    elif kind == 3:
        data[at:at] = data[at:end] * rng.randint(1, 3)
    elif kind == 4:
        data[at:at] = rng.choice(_TOKENS)
    elif kind == 5:
        del data[at:]
    else:
        other = rng.choice(good)
        start = rng.randint(0, len(other))
        data[at:end] = other[start : start + rng.choice((4, 64, 512))]


def _replaced(value: Any, rng: random.Random, depth: int = 0) -> Any:
    """The document with one place changed: another value, a key lost, renamed or added, an entry doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.1:
            del value[key]
        elif kind < 0.2:
            value[str(rng.choice(_ODD))] = value.pop(key)
        else:
            value[key] = _replaced(value[key], rng, depth + 1)
        return value
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        if rng.random() < 0.2:
            value.insert(place, copy.deepcopy(value[place]))
        else:
            value[place] = _replaced(value[place], rng, depth + 1)
        return value
    if isinstance(value, (int, float)) and rng.random() < 0.3:
        return rng.choice((-value, value * 1e6, value + 1, str(value)))
    return copy.deepcopy(rng.choice(_ODD))


@contextmanager
def _in_time() -> Iterator[None]:
    """TimeoutError in what hangs; where signals do not reach, nothing is limited."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"no end after {LIMIT_S:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(reader: Reader, inputs: int, seed: int = 0, first: int = 0, say: Callable[[str], None] | None = None) -> Found:
    """Read ``inputs`` mutated inputs."""
    found, began = Found(), time.process_time()
    for number in range(first, first + inputs):
        data, started = mutated(reader, seed, number), time.process_time()
        outcome = _outcome(reader, data)
        found.slowest_s = max(found.slowest_s, time.process_time() - started)
        found.outcomes[outcome.partition(":")[0]] += 1
        if outcome not in ("answer", "sentence"):
            found.failures.append((number, outcome))
        found.inputs += 1
        if say is not None and found.inputs % 10000 == 0:
            say(f"{found.inputs:,} inputs, {dict(found.outcomes)}, {time.process_time() - began:.0f} CPU s")
    found.cpu_s = time.process_time() - began
    return found


def _outcome(reader: Reader, data: bytes) -> str:
    try:
        with _in_time():
            reader.read(data)
    except StylefxError as error:
        return "sentence" if "\n" not in str(error) else f"several lines: {error!s}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what a traceback would show, a hang, a recursion
        return f"{type(error).__name__}: {error}"
    return "answer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", default=[], help=f"of {', '.join(READERS)}; default: all")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="Read the input of this number and let its error through.")
    arguments = parser.parse_args()
    failed = False
    for name in arguments.readers or READERS:
        reader = READERS[name]()
        if arguments.only is not None:
            data = mutated(reader, arguments.seed, arguments.only)
            print(repr(data)[:2000])
            reader.read(data)
            continue
        found = run(reader, arguments.inputs, arguments.seed, say=lambda text, n=name: print(f"{n}: {text}", flush=True))
        outcomes = ", ".join(f"{count:,} {kind}" for kind, count in found.outcomes.most_common())
        rest = f"slowest {found.slowest_s:.2f} s, {found.cpu_s:.0f} CPU s, seed {arguments.seed}"
        print(f"{name}: {found.inputs:,} inputs: {outcomes}; {len(found.failures)} failures; {rest}", flush=True)
        for number, what in found.failures[:20]:
            print(f"  --only {number}: {what[:300]}", flush=True)
        failed = failed or bool(found.failures)
    sys.exit(failed)


if __name__ == "__main__":
    main()
