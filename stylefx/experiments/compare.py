"""Measure differentiation strategies side by side on a corpus: gradients, cost, and quality after equal steps and seconds.

Every strategy runs in a process of its own, so that its peak memory is its own. All start from the same weights, see the same
keyed items in the same order and are judged on the same held-out items, each in the form in which it would be used
(``eval()``). What is measured is kept: the same command continues after an interruption.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, cast

from stylefx.errors import Interrupted, StylefxError
from stylefx.experiments.comparison_report import draw, proxy_table, summarise, table
from stylefx.experiments.measure import Comparison, measure
from stylefx.files.atomic import publish_text
from stylefx.progress import step_progress
from stylefx.strategies.proxy import read_card


def compare(names: Sequence[str], comparison: Comparison, out: Path, echo: Callable[[str], None]) -> str:
    """Measure, write comparison.json, comparison.md and comparison.png into ``out`` after each; returns the tables."""
    (out / "measured").mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    text = ""
    for name in ["ad", *[n for n in dict.fromkeys(names) if n != "ad"]]:  # autodiff is the reference
        seconds = results["ad"]["curve"][-1][1] if results else None
        kept = out / "measured" / f"{name}.json"
        question = _question(name, comparison, seconds)
        try:
            found = json.loads(kept.read_text())
        except (OSError, ValueError):
            found = {}
        if found.get("question") == question:
            echo(f"{name}: measured before")
            results[name] = found["result"]
        else:
            try:
                with _terminable():
                    results[name] = _in_a_process(name, comparison, seconds)
            except (KeyboardInterrupt, _Terminated) as stop:
                done = ", ".join(results) or "nothing yet"
                text = f"stopped at {name}; {out} holds {done}; the same command continues there"
                raise Interrupted(text, signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT) from None
            publish_text(kept, json.dumps({"question": question, "result": results[name]}) + "\n")
        text = _report(results, comparison, out)
    return text


class _Terminated(BaseException):
    """SIGTERM, as KeyboardInterrupt is SIGINT."""


@contextmanager
def _terminable() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _question(name: str, comparison: Comparison, seconds: float | None) -> dict[str, Any]:
    """All that a measurement depends on; of the proxies their weights, and only where they are used."""
    configuration = asdict(comparison)
    paths = configuration.pop("proxies")
    if name.startswith("np"):
        configuration["proxies"] = [read_card(path)["sha256"] for path in paths]
    question: dict[str, Any] = json.loads(json.dumps({"configuration": configuration, "seconds": seconds}))
    return question


def _report(results: dict[str, dict[str, Any]], comparison: Comparison, out: Path) -> str:
    summary = summarise(results, comparison)
    text = "\n\n".join(t for t in (table(summary, comparison), proxy_table(comparison.proxies)) if t)
    publish_text(out / "comparison.json", json.dumps({"configuration": asdict(comparison), "results": summary}, indent=1) + "\n")
    publish_text(out / "comparison.md", text + "\n")
    draw(summary, comparison, out / "comparison.png")
    return text


def _in_a_process(name: str, comparison: Comparison, seconds: float | None) -> dict[str, Any]:
    """``measure`` in a fresh process, with its progress; the process dies with an interruption."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(there, name, comparison, seconds), daemon=True)
    process.start()
    there.close()
    try:
        with step_progress(name, comparison.steps) as report:
            while True:
                kind, value = here.recv()
                if kind == "result":
                    return cast("dict[str, Any]", value)
                if kind == "error":
                    raise value
                report(value[0], loss=value[1])
    except EOFError:
        process.join()
        raise StylefxError(
            f"the process that measured {name} ended with status {process.exitcode}; was its memory enough?"
        ) from None
    finally:
        process.terminate()
        process.join()


def _child(connection: Connection, name: str, comparison: Comparison, seconds: float | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        result = measure(name, comparison, seconds, lambda step, loss: connection.send(("step", (step, loss))))
        connection.send(("result", result))
    except StylefxError as error:
        connection.send(("error", error))
