"""The victim: a training run's next checkpoint, written and chosen by the code that ``stylefx train`` uses."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import torch

from benchmarks.injection.rounds import Ended, Finding, Victim, digest_of


class CheckpointVictim(Victim):
    """A run of which step 1 is saved: it goes on from the newest whole checkpoint, saves step 2, the best, and drops step 1."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.run = folder / "round/run"

    def warm(self) -> None:
        self._save(self.folder / "warm", step=1)

    def begin(self) -> None:
        shutil.copytree(self.folder / "warm", self.run, dirs_exist_ok=True)

    @staticmethod
    def _save(run: Path, step: int) -> None:
        from stylefx.models.checkpoint import CHECKPOINTS
        from stylefx.training.run.checkpoints import Checkpoints, Saving
        from stylefx.training.run.choice import choose_checkpoint, load_state

        checkpoints = Checkpoints(run, keep_last=1, say=print)
        try:
            folder = choose_checkpoint(run / CHECKPOINTS, None, print)
            if folder is None or load_state(folder)[0]["step"] < step:
                weights = {"layer.weight": torch.full((64, 64), float(step))}
                training = {"exp_avg/layer.weight": torch.full((64, 64), step / 2)}
                checkpoints.save(Saving(step, {"name": "tiny"}, weights, training))
            checkpoints.judge(step, {"metrics": {"loss": 1.0 / step}}, best=True)
            checkpoints.wait(to_the_end=True)
        finally:
            checkpoints.close()

    def main(self) -> int:
        from stylefx.command_line import run

        group = click.Group()
        group.command("save")(lambda: self._save(self.run, step=2))
        run(group, ["save"])
        return 0

    def check_between(self, ended: Ended) -> None:
        """Whatever happened, there is a whole checkpoint to go on from."""
        from stylefx.errors import StylefxError
        from stylefx.models.checkpoint import CHECKPOINTS
        from stylefx.training.run.choice import choose_checkpoint

        try:
            if choose_checkpoint(self.run / CHECKPOINTS, None, lambda text: None) is None:
                raise Finding("no checkpoint is left")
        except (StylefxError, OSError) as error:
            raise Finding(f"no checkpoint can be loaded: {error}") from None

    def litter(self) -> list[str]:
        return sorted(str(p) for p in self.run.rglob("*") if p.name.endswith((".part", ".tmp")))

    def left(self) -> dict[str, str]:
        return {str(p.relative_to(self.run)): digest_of(p.read_bytes()) for p in sorted(self.run.rglob("*")) if p.is_file()}
