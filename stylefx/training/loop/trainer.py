"""The training loop. One process or many ranks; what decides the result is in the configuration and the seed alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch.nn.parallel import DistributedDataParallel

from stylefx.corpus.batch import Batch
from stylefx.corpus.tolerance import Tolerance
from stylefx.errors import Interrupted
from stylefx.files import patience
from stylefx.keyed import integer
from stylefx.models.solver.controller import SolverController
from stylefx.models.style_transfer import StyleTransferModel
from stylefx.training.compilation import compile_network, compiler_explained
from stylefx.training.config import TrainingConfig
from stylefx.training.loop.ema import MovingAverage
from stylefx.training.loop.feed import interruptible, placeholder
from stylefx.training.loop.held_out import HeldOut, batch_statistics, report_held_out
from stylefx.training.loop.outcome import Outcome, reads_late
from stylefx.training.loop.profiling import profiled
from stylefx.training.loop.schedule import learning_rate
from stylefx.training.loop.state import description, load_resumable, restore, saving_of
from stylefx.training.loop.step import Objective, Stepper, cut, draw_intents, pinned, seed_step, to_device
from stylefx.training.loop.upload import Uploads
from stylefx.training.processes.damage import learn_of_damage
from stylefx.training.processes.distributed import Rank, first_only, total, wait_for_all
from stylefx.training.processes.interrupt import StopRequest
from stylefx.training.run.checkpoints import Checkpoints
from stylefx.training.run.curves import draw_curves
from stylefx.training.run.desk import Desk, open_desk
from stylefx.training.run.journal import Throughput
from stylefx.training.setup import (
    evaluation_set,
    make_model,
    open_corpora,
    run_level,
    size_of,
    trainable,
    training_loader,
    training_set,
)
from stylefx.training.warm_up.lessons import beside, taught


class Trainer:
    """A run in ``run`` (a folder), from the checkpoint folder ``resume_from`` on, or from the beginning. ``guard`` is called
    before every save and raises when the folder is no longer ours."""

    def __init__(
        self,
        config: TrainingConfig,
        run: Path,
        place: Rank,
        echo: Callable[[str], None],
        resume_from: Path | None = None,
        guard: Callable[[], None] = lambda: None,
    ):
        self.config, self.run_folder, self.place, self.echo = config, run, place, echo
        self.micro, self.passes = config.accumulation(place.world)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.checkpoints = Checkpoints(run, config.checkpoints.keep_last, echo, guard)
        state, weights, training = (None, {}, {}) if resume_from is None else load_resumable(resume_from, config, place)
        self.corpora = open_corpora(config, state)
        self.data = training_set(config, self.corpora)
        held_out = evaluation_set(config, self.corpora, self.corpora, lambda call: first_only(place, call))
        self.model = make_model(config, self.data.sample_rate).to(place.device)
        self.pairs = taught(self.model, config, self.corpora, echo if place.is_first else None, fresh=state is None)
        self.beside = beside(self.model, self.pairs, config.warm_up, place.device)
        self.model.level = run_level(config, self.corpora)
        self.average = MovingAverage(self.model, config.optimiser.ema_decay) if config.optimiser.ema_decay else None
        self.names = list(trainable(self.model))
        decay = config.optimiser.weight_decay
        kind = torch.optim.AdamW if decay else torch.optim.Adam
        self.unread: list[tuple[int, float, Outcome]] = []  # step done, its learning rate, what came of it
        fused = True if place.device.type == "cuda" else None  # one launch, not one per parameter and operation
        self.optimiser = kind(trainable(self.model).values(), lr=config.optimiser.learning_rate, weight_decay=decay, fused=fused)
        if state is not None:
            restore(self.model, self.average, self.optimiser, self.names, weights, training, place.device)
        state = state or {}
        self.start_step = int(state.get("step", 0))
        self.saved_step = self.start_step if state else None
        self.metrics: dict[str, float] = state.get("metrics", {})
        self.tolerance = Tolerance(config.data.max_damaged_share, size_of(self.data), state.get("damaged", ()))
        so_far = state.get("best"), state.get("stale", 0)
        self.held_out = None if held_out is None else HeldOut(config, held_out, place, self.micro, *so_far)
        self.is_judged = state.get("judged", True)  # whether the checkpoint's validation, where one was due, is made
        self.uploads = Uploads(place.device) if place.device.type == "cuda" else None
        self.objective = Objective(**config.loss.model_dump(), sample_rate=self.data.sample_rate).to(place.device)
        if place.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # batches have one shape: the fastest convolutions are looked for once
        if config.compile:
            if place.is_first:
                echo("encoder and controller are compiled in the first step, which takes minutes")
            compile_network(self.model, place.device)

    # -- state

    def _verdict(self) -> dict[str, Any]:
        """What validations said so far."""
        best, stale = (None, 0) if self.held_out is None else (self.held_out.best, self.held_out.stale)
        return {"best": best, "stale": stale, "metrics": self.metrics}

    def _save(self, step: int, judged: bool) -> None:
        """Publish a checkpoint from the first rank; not ``judged``: its validation is still to be made."""
        if self.saved_step == step:
            return
        self.saved_step = step
        if self.place.is_first:
            state = description(self.config, self.data, self.corpora, self.place, step) | self._verdict()
            state |= {"judged": judged, "damaged": self.tolerance.names}
            frames = self.data.half_frames
            self.checkpoints.save(saving_of(step, self.model, self.average, self.optimiser, self.names, state, frames))

    # -- the loop

    def run(self, stop: StopRequest) -> dict[str, float]:
        """Train to the last step; returns the last validation's metrics. Raises Interrupted after saving when asked to stop."""
        desk = None
        try:
            if self.place.is_first:
                desk = open_desk(self.config, self.run_folder, self.start_step, self.echo, pending=not self.is_judged)
            with compiler_explained():
                self._steps(stop, desk)
            if desk is not None:
                draw_curves(self.run_folder)
            return self.metrics
        finally:
            self.checkpoints.close()
            if desk is not None:
                desk.close()

    def _wrapped(self) -> torch.nn.Module:
        if self.place.world == 1:
            return self.model
        devices = [self.place.device] if self.place.device.type == "cuda" else None
        if devices:  # statistics of the whole batch, not of a rank's few items; on CPUs there is no such layer
            self.model = cast("StyleTransferModel", torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.model))
        # The scale of the curve is taught by the pairs alone.
        idle = isinstance(self.model.controller, SolverController) and self.beside is None
        return DistributedDataParallel(self.model, device_ids=devices, gradient_as_bucket_view=True, find_unused_parameters=idle)

    def _recording(self) -> Callable[[str], None] | None:
        """Where to say that passes cannot be CUDA graphs; None where they are not tried: strategies other than gradients through
        the effects read from the device."""
        on_one = self.place.device.type == "cuda" and self.place.world == 1
        return self.echo if on_one and self.config.cuda_graphs and self.config.model.strategy.name == "ad" else None

    def _prepare(self, batch: Batch) -> dict[str, torch.Tensor]:
        audio = to_device(batch, self.place.device) if self.uploads is None else self.uploads.take(batch)
        drawn = draw_intents(batch, self.model.intents, self.config.balance_share, self.config.seed)
        audio |= {name: values.to(self.place.device) for name, values in drawn.items()}
        return audio if batch.starts is None else cut(audio, batch.starts.tolist(), self.data.frames)

    def _batches(self, meter: Throughput, stop: StopRequest) -> Generator[Batch, None, None]:
        """The rank's micro-batches, timed."""
        place: dict[str, Any] = {
            "micro": self.micro,
            "accumulation": self.passes,
            "rank": self.place.rank,
            "world": self.place.world,
        }
        if self.place.device.type == "cuda":
            place["allocate"] = pinned
        loader = iter(training_loader(self.config, self.data, start_step=self.start_step, tolerance=self.tolerance, **place))
        shape = (self.micro, self.data.channels, self.data.half_frames)
        early = None if self.uploads is None else self.uploads.start
        batches = interruptible(loader, stop, lambda: placeholder(*shape), early)
        try:
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                if batch is None:
                    return
                meter.waited(time.perf_counter() - began)
                yield batch
        finally:
            batches.close()

    def _steps(self, stop: StopRequest, desk: Desk | None) -> None:
        config, meter = self.config, Throughput()
        clip, how = config.optimiser.clip_norm, (self._recording(), reads_late(self.place))
        stepper = Stepper(self._wrapped(), self.objective, self.optimiser, clip, self._prepare, self.beside, *how)
        self.model.train()
        if not self.is_judged:  # it was stopped or killed between the checkpoint and the end of its validation
            self._validate(self.start_step, stop, desk)
        batches = self._batches(meter, stop)
        try:
            with profiled(config.profile, self.run_folder, self.place, self.echo) as before_step:
                for step in range(self.start_step, config.steps):
                    if self.held_out is not None and self.held_out.is_over:
                        break
                    before_step(step + 1)
                    self._step(step, stepper, batches, meter, stop, desk)
        except BaseException:
            patience.ending.set()  # readers that wait for a store wait no longer
            raise
        finally:
            batches.close()
        self.checkpoints.wait(to_the_end=True)
        wait_for_all()
        if desk is not None:
            if self.held_out is not None and self.held_out.is_over:
                desk.progress.say(f"no better {config.validation.metric} in {self.held_out.stale} validations: the run ends here")
            waited = f"{100 * meter.data_wait:.1f} % of the step time waited for data"
            desk.progress.say(f"{self.saved_step} of {config.steps} steps done; {waited}")

    def _step(
        self,
        step: int,
        stepper: Stepper,
        batches: Generator[Batch, None, None],
        meter: Throughput,
        stop: StopRequest,
        desk: Desk | None,
    ) -> None:
        """One step, and what is due after it."""
        config = self.config
        seed_step(config.seed, step, self.place.rank)
        if self.pairs is not None:
            self.pairs.reseed(integer(config.seed, "train/pairs", step, self.place.rank))
        rate = learning_rate(step, config.steps, config.optimiser)
        with batch_statistics(self.model) as put_back:
            outcome = stepper(batches, self.passes, rate)
            if outcome is None:  # a stop came and a batch did not: this step never was
                put_back()
                self._catch_up(stepper, meter, desk)
                self._leave(step, stop, judged=True)
                return
        if self.average is not None:
            self.average.update(self.model, step)
        meter.examples += config.global_batch
        done = step + 1
        self.unread.append((done, rate, outcome))
        stopping = self._catch_up(stepper, meter, desk, behind=1 if stepper.late else 0, stopping=bool(stop))
        due, last = self.held_out is not None and self.held_out.is_due(done), done == config.steps
        leaving, saving = stopping and not (last and not due), due or last or done % config.checkpoints.every_steps == 0
        if leaving or saving:
            self._catch_up(stepper, meter, desk)  # nothing is saved of a step that is not known to be finite
        began = time.perf_counter()
        if leaving:
            self._leave(done, stop, judged=not due)
        if saving:
            self._save(done, judged=not due)
        if due:
            self._validate(done, stop, desk)
        self.checkpoints.check()
        meter.paused(time.perf_counter() - began)

    def _catch_up(self, stepper: Stepper, meter: Throughput, desk: Desk | None, behind: int = 0, stopping: bool = False) -> bool:
        """Read and report steps until ``behind`` of them are left -> whether any rank was asked to stop."""
        if len(self.unread) <= behind:
            return self._over_ranks({}, stopping)[1] if behind else stopping
        while len(self.unread) > behind:
            done, rate, outcome = self.unread.pop(0)
            values, stopping = self._over_ranks(stepper.read(outcome), stopping)
            if desk is not None:
                desk.report(done, values | {"learning_rate": rate}, meter)
        return stopping

    def _over_ranks(self, values: dict[str, float], stopping: bool) -> tuple[dict[str, float], bool]:
        """Means of the loss terms over the ranks, and whether any rank was asked to stop; damage is told to all."""
        news = self.tolerance.news()
        *means, flags, damaged = [*values.values(), float(stopping), float(len(news))]
        if self.place.world > 1:
            packed = torch.tensor([*means, flags, damaged], dtype=torch.float64, device=self.place.device)
            *means, flags, damaged = total(packed).tolist()
        if damaged:
            learn_of_damage(self.tolerance, news, self.place, self.echo)
        return {k: v / self.place.world for k, v in zip(values, means, strict=True)}, flags > 0

    def _validate(self, done: int, stop: StopRequest, desk: Desk | None) -> None:
        """Validate a saved step and write down what came out; leaves when any rank is asked to stop meanwhile."""
        assert self.held_out is not None
        report = self.held_out.measure(self.model, self.average, self.objective, self._prepare, stop)
        if report is None:
            self._leave(done, stop, judged=False)
            return
        self.metrics = report.metrics
        best = self.held_out.judge(report.metrics)
        if desk is not None:
            report_held_out(report, done, best, desk.journal, desk.progress, self.model)
            self.checkpoints.judge(done, self._verdict() | {"judged": True}, best)

    def _leave(self, done: int, stop: StopRequest, judged: bool) -> NoReturn:
        self._save(done, judged)
        self.checkpoints.wait(to_the_end=True)
        wait_for_all()
        text = f"stopped after step {done} of {self.config.steps}, state saved; go on with the same command and --resume"
        stopped = Interrupted(text, stop.signal_number or 15)
        stopped.said_by_another = not self.place.is_first
        raise stopped
