"""The held-out split during a run: its metrics, the best so far, and what is shown of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from torch import nn

from stylefx.corpus.dataset import EvaluationSet
from stylefx.corpus.loader import EvaluationLoader
from stylefx.corpus.tolerance import Tolerance
from stylefx.models.style_transfer import StyleTransferModel
from stylefx.progress import Progress
from stylefx.training.config import TrainingConfig
from stylefx.training.loop.ema import MovingAverage
from stylefx.training.loop.feed import interruptible, placeholder
from stylefx.training.loop.media import show
from stylefx.training.loop.step import Objective
from stylefx.training.loop.validation import Prepare, ValidationReport, validate
from stylefx.training.processes.distributed import Rank, any_of
from stylefx.training.processes.interrupt import StopRequest
from stylefx.training.run.journal import Journal


class HeldOut:
    """Validates over all ranks. ``best``: the chosen metric's smallest value so far, None before the first; ``stale``: how many
    validations since then."""

    def __init__(self, config: TrainingConfig, data: EvaluationSet, place: Rank, micro: int, best: float | None, stale: int = 0):
        self.config, self.data, self.place, self.micro = config, data, place, micro
        self.best, self.stale = best, stale

    @property
    def is_over(self) -> bool:
        """Whether the run ends because it gets no better."""
        patience = self.config.stop.patience
        return patience is not None and self.stale >= patience

    def is_due(self, done: int) -> bool:
        return done % self.config.validation.every_steps == 0 or done == self.config.steps

    def measure(
        self, model: StyleTransferModel, average: MovingAverage | None, objective: Objective, prepare: Prepare, stop: StopRequest
    ) -> ValidationReport | None:
        """None when any rank was asked to stop meanwhile: the validation is made again when the run goes on."""
        loader = EvaluationLoader(
            self.data,
            batch=self.micro,
            rank=self.place.rank,
            world=self.place.world,
            workers=self.config.readers(),
            tolerance=Tolerance(self.config.data.max_damaged_share, len(self.data)),
        )
        corpus = self.data.refs[0][0] if len(self.data) else None
        shape = (self.micro, corpus.channels if corpus else 1, self.data.crop or (corpus.half_frames if corpus else 1))
        batches = interruptible(iter(loader), stop, lambda: placeholder(*shape))
        stopping: Callable[[], bool] = lambda: any_of(bool(stop), self.place)  # noqa: E731
        with average.applied(model) if average is not None else nullcontext():
            try:
                return validate(model, objective, batches, prepare, self.config.logging.media_samples, stopping)
            finally:
                batches.close()

    def judge(self, metrics: dict[str, float]) -> bool:
        """Whether these are the best so far."""
        value = metrics[self.config.validation.metric]
        best = self.best is None or value < self.best
        self.best = value if best else self.best
        self.stale = 0 if best else self.stale + 1
        return best


def report_held_out(
    report: ValidationReport, done: int, best: bool, journal: Journal, progress: Progress, model: StyleTransferModel
) -> None:
    """Write a validation down, and say it."""
    metrics = report.metrics
    journal.write("validation", done, metrics)
    journal.scalars("validation", done, metrics)
    journal.show(lambda writer: show(writer, done, report, model.chain, model.sample_rate))
    progress.say(
        f"step {done}: held out MR-STFT {metrics['mr_stft']:.4f}, unprocessed input {metrics['input_mr_stft']:.4f} "
        f"({metrics['mr_stft_ratio']:.2f} of it){', the best so far' if best else ''}"
    )


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[Callable[[], None]]:
    """Gives a function that puts back the batch statistics of the block's beginning, for a step that does not count."""
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [{name: buffer.clone() for name, buffer in layer.named_buffers()} for layer in layers]

    def put_back() -> None:
        for layer, buffers in zip(layers, before, strict=True):
            for name, buffer in layer.named_buffers():
                buffer.copy_(buffers[name])

    yield put_back
