"""The victim ``stylefx transfer``: audio, settings and page, with the model that comes with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import soundfile

from benchmarks.injection.rounds import Victim, digest_of
from tests.support.builds import tone_bursts

_RATE = 24000


class TransferVictim(Victim):
    """Three seconds of mono in the style of three others."""

    statuses = {"EACCES": 2}  # noqa: RUF012 - where it may not write is the user's choice

    def __init__(self, folder: Path):
        super().__init__(folder)
        os.environ["STYLEFX_CACHE"] = str(folder / "round/cache")
        for number, name in enumerate(("input", "style")):
            soundfile.write(folder / f"{name}.wav", tone_bursts(3.0, _RATE, number), _RATE)
        self.out = folder / "round/out.wav"

    def warm(self) -> None:
        """A transfer into another folder loads all that one needs."""
        import torch

        torch.set_num_threads(1)
        elsewhere = self.folder / "warm"
        elsewhere.mkdir()
        self._transfer(elsewhere / "out.wav")

    def begin(self) -> None:
        pass

    def _transfer(self, out: Path) -> int:
        from stylefx.cli import cli
        from stylefx.command_line import run

        arguments = ["transfer", str(self.folder / "input.wav"), str(self.folder / "style.wav"), "-o", str(out), "--overwrite"]
        try:
            run(cli, [*arguments, "--page", str(out.with_suffix(".html"))])
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    def main(self) -> int:
        sys.argv = ["stylefx"]
        return self._transfer(self.out)

    def left(self) -> dict[str, str]:
        return {p.name: digest_of(p.read_bytes()) for p in sorted(self.out.parent.iterdir()) if p.is_file()}
