"""Fenced blocks of README and docs, and the commands in them.

python -m tests.docs.blocks        # how many there are, and how many the tests run
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- not run: (?P<why>.+?) -->\n\Z")
_INLINE = re.compile(r"`((?:stylefx|stylefx-pipe|python -m|make) [^`\n]+)`")


@dataclass(frozen=True)
class Command:
    """One line of a shell block, without its comment: words, and the file that its output goes to."""

    words: tuple[str, ...]
    output: str | None = None

    def __str__(self) -> str:
        return shlex.join(self.words) + (f" > {self.output}" if self.output else "")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``reason``: why it is not run, "" where it is."""

    page: str
    line: int
    language: str
    text: str
    reason: str

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        joined = self.text.replace("\\\n", " ").splitlines()
        return tuple(_command(words) for line in joined if (words := shlex.split(line, comments=True)))


def _command(words: list[str]) -> Command:
    if len(words) > 2 and words[-2] == ">":
        return Command(tuple(words[:-2]), words[-1])
    return Command(tuple(words))


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text, 0, fence.start())
        yield Block(
            str(page.relative_to(ROOT)),
            text.count("\n", 0, fence.start()) + 1,
            fence["language"],
            fence["text"],
            mark["why"] if mark else "",
        )


def inline_commands(page: Path) -> set[Command]:
    """Commands in the running text; they may lack arguments."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found = set()
    for match in _INLINE.finditer(text):
        found.add(_command(shlex.split(match[1].replace("...", ""))))
    return found


def count() -> Counter[str]:
    """Of distinct commands and of snippets: how many are run, and how many are only parsed."""
    run: dict[Command, bool] = {}
    out: Counter[str] = Counter()
    for page in pages():
        for block in blocks(page):
            if block.language == "python":
                out["Python snippets " + ("parsed" if block.reason else "run")] += 1
            elif block.language in ("yaml", "json"):
                out["YAML and JSON blocks validated"] += 1
            elif block.language == "sh":
                for command in block.commands:
                    run[command] = run.get(command, False) or not block.reason
    out["commands run"] = sum(run.values())
    out["commands parsed"] = len(run) - out["commands run"]
    return out


if __name__ == "__main__":
    for what, number in sorted(count().items()):
        print(f"{number:5d} {what}")
