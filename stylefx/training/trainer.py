"""The training loop. One process or many ranks; what decides the result is in the configuration and the seed alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.nn.parallel import DistributedDataParallel

from stylefx.corpus.dataset import Batch
from stylefx.corpus.loader import EvaluationLoader
from stylefx.errors import UserError
from stylefx.models.checkpoint import write_atomic
from stylefx.training.checkpoints import Checkpoints, load_state, optimiser_tensors, restore_optimiser
from stylefx.training.config import TrainingConfig
from stylefx.training.curves import draw_curves
from stylefx.training.distributed import Place, total, wait_for_all
from stylefx.training.ema import MovingAverage
from stylefx.training.interrupt import Interrupted, StopRequest
from stylefx.training.journal import Journal, Meter, Progress
from stylefx.training.media import show
from stylefx.training.online import OnlineRenderer
from stylefx.training.schedule import learning_rate
from stylefx.training.setup import (
    evaluation_set,
    make_model,
    open_corpora,
    refuse_changes,
    trainable,
    training_loader,
    training_set,
)
from stylefx.training.step import Objective, Stepper, cut, seed_step, to_device
from stylefx.training.validation import Report, validate

CONFIG_FILE = "config.yaml"


class Trainer:
    """A run in ``run`` (a folder). ``resume`` goes on from the last checkpoint, or begins when there is none yet."""

    def __init__(self, config: TrainingConfig, run: Path, place: Place, echo: Callable[[str], None], resume: bool = False):
        self.config, self.run_folder, self.place, self.echo = config, run, place, echo
        self.micro, self.passes = config.accumulation(place.world)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.checkpoints = Checkpoints(run, config.checkpoints.keep_last)
        latest = self.checkpoints.latest()
        if latest is not None and not resume:
            raise UserError(f"{run} holds a run already; go on with --resume or choose another folder with --out")
        state, weights, training = load_state(latest) if latest is not None else (None, {}, {})
        if state is not None:
            refuse_changes(state["config"], config.model_dump(mode="json"))
            if config.data.stream == "webdataset" and state["world"] != place.world:
                raise UserError(f"a stream goes on with as many processes as it began with, {state['world']}, not {place.world}")
        self.corpora = open_corpora(config, state)
        self.data, self.held_out = training_set(config, self.corpora), evaluation_set(config, self.corpora, self.corpora)
        self.model = make_model(config, self.data.sample_rate).to(place.device)
        self.average = MovingAverage(self.model, config.optimiser.ema_decay) if config.optimiser.ema_decay else None
        self.render = OnlineRenderer(config.seed, self.data.sample_rate)
        self.names = list(trainable(self.model))
        self.optimiser = torch.optim.Adam(trainable(self.model).values(), lr=config.optimiser.learning_rate)
        self.start_step = 0 if state is None else int(state["step"])
        self.best = None if state is None else state["best"]
        if state is not None:
            self._restore(weights, training)
        self.objective = Objective(config.loss.l1_weight).to(place.device)
        if config.compile:
            self.model.encoder.compile()
            self.model.controller.compile()

    # -- state

    def _restore(self, weights: dict[str, Any], training: dict[str, Any]) -> None:
        own = {k.removeprefix("weights/"): v for k, v in training.items() if k.startswith("weights/")}
        self.model.load_state_dict(weights | own)
        if self.average is not None:
            self.average.weights = {n: weights[n].to(self.place.device) for n in self.average.weights}
        moments = {k: v for k, v in training.items() if not k.startswith("weights/")}
        restore_optimiser(self.optimiser, self.names, moments)

    def _save(self, step: int, metrics: dict[str, float], best: bool) -> None:
        """Publish a checkpoint from the first rank."""
        if not self.place.is_first:
            return
        training = optimiser_tensors(self.optimiser, self.names)
        weights = self.model.state_dict()
        if self.average is not None:
            training |= {f"weights/{n}": p for n, p in self.model.named_parameters()}
            weights = self.average.state(self.model)
        position = step * self.config.global_batch
        epoch, within = self.data.place(position)
        state = {
            "epoch": epoch,
            "position": within,
            "world": self.place.world,
            "generations": [c.generations for c in self.corpora],
            "config": self.config.model_dump(mode="json"),
            "best": self.best,
            "metrics": metrics,
        }
        self.checkpoints.save(
            step, self.model.config() | {"segment_samples": self.data.half_frames}, weights, training, state, best
        )

    # -- the loop

    def run(self) -> dict[str, float]:
        """Train to the last step; returns the last validation's metrics. Raises Interrupted after saving when asked to stop."""
        self.run_folder.mkdir(parents=True, exist_ok=True)
        journal = None
        if self.place.is_first:
            text = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False)
            write_atomic(self.run_folder / CONFIG_FILE, text.encode())
            journal = Journal(self.run_folder, self.start_step, self.config.logging.tensorboard)
        progress = Progress(self.config.steps, self.start_step, self.echo) if self.place.is_first else None
        try:
            with StopRequest() as stop:
                metrics = self._steps(stop, journal, progress)
            if progress is not None:
                draw_curves(self.run_folder)
            return metrics
        finally:
            self.checkpoints.close()
            for part in (journal, progress):
                if part is not None:
                    part.close()

    def _wrapped(self) -> torch.nn.Module:
        if self.place.world == 1:
            return self.model
        devices = [self.place.device] if self.place.device.type == "cuda" else None
        return DistributedDataParallel(self.model, device_ids=devices, gradient_as_bucket_view=True)

    def _prepare(self, batch: Batch) -> dict[str, torch.Tensor]:
        audio = to_device(batch, self.place.device)
        if "input" not in audio:
            audio = self.render(audio["dry"], audio["dry_reference"], batch.keys, batch.epochs)
        return audio if batch.starts is None else cut(audio, batch.starts.tolist(), self.data.frames)

    def _batches(self, meter: Meter) -> Iterator[Batch]:
        """The rank's micro-batches, timed."""
        place = {"micro": self.micro, "accumulation": self.passes, "rank": self.place.rank, "world": self.place.world}
        loader = iter(training_loader(self.config, self.data, start_step=self.start_step, **place))
        try:
            while True:
                began = time.perf_counter()
                batch = next(loader, None)
                if batch is None:
                    return
                meter.waited(time.perf_counter() - began)
                yield batch
        finally:
            loader.close()

    def _steps(self, stop: StopRequest, journal: Journal | None, progress: Progress | None) -> dict[str, float]:
        config, meter, metrics = self.config, Meter(), {}
        stepper = Stepper(self._wrapped(), self.objective, self.optimiser, config.optimiser.clip_norm, self._prepare)
        batches = self._batches(meter)
        self.model.train()
        for step in range(self.start_step, config.steps):
            seed_step(config.seed, step, self.place.rank)
            rate = learning_rate(step, config.steps, config.optimiser)
            values = stepper(batches, self.passes, rate)
            if self.average is not None:
                self.average.update(self.model, step)
            meter.examples += config.global_batch
            values, stopping = self._over_ranks(values, bool(stop))
            done = step + 1
            self._report(done, values | {"learning_rate": rate}, meter, journal, progress)
            began = time.perf_counter()
            best, last = False, done == config.steps
            if self.held_out is not None and (done % config.validation.every_steps == 0 or last):
                metrics, best = self._validate(done, journal, progress)
            if best or stopping or last or done % config.checkpoints.every_steps == 0:
                self._save(done, metrics, best)
            meter.paused(time.perf_counter() - began)
            if stopping and not last:
                batches.close()
                self._leave(done, stop)
        self.checkpoints.wait()
        wait_for_all()
        if progress is not None:
            progress.say(f"{config.steps} steps done; {100 * meter.data_wait:.1f} % of the step time waited for data")
        return metrics

    def _over_ranks(self, values: dict[str, float], stopping: bool) -> tuple[dict[str, float], bool]:
        """Means of the loss terms over the ranks, and whether any rank was asked to stop."""
        if self.place.world == 1:
            return values, stopping
        packed = torch.tensor([*values.values(), float(stopping)], dtype=torch.float64, device=self.place.device)
        *means, flags = total(packed).tolist()
        return {k: v / self.place.world for k, v in zip(values, means, strict=True)}, flags > 0

    def _report(self, done: int, values: dict, meter: Meter, journal: Journal | None, progress: Progress | None) -> None:
        if journal is None or progress is None:
            return
        journal.write("train", done, values)
        progress.step(done)
        if done % self.config.logging.every_steps == 0 or done == self.config.steps:
            values = values | meter.report()
            journal.scalars("train", done, values)
            progress.report(done, values)

    def _validate(self, done: int, journal: Journal | None, progress: Progress | None) -> tuple[dict[str, float], bool]:
        """Metrics, and whether they are the best so far."""
        loader = EvaluationLoader(
            self.held_out, batch=self.micro, rank=self.place.rank, world=self.place.world, workers=self.config.data.workers
        )
        with self.average.applied(self.model) if self.average is not None else nullcontext():
            report: Report = validate(self.model, self.objective, loader, self._prepare, self.config.logging.media_samples)
        metrics, name = report.metrics, self.config.validation.metric
        best = self.best is None or metrics[name] < self.best
        self.best = metrics[name] if best else self.best
        if journal is not None and progress is not None:
            journal.write("validation", done, metrics)
            journal.scalars("validation", done, metrics)
            if journal.writer is not None:
                show(journal.writer, done, report, self.model.chain, self.model.sample_rate)
            progress.say(
                f"step {done}: held out MR-STFT {metrics['mr_stft']:.4f}, unprocessed input {metrics['input_mr_stft']:.4f} "
                f"({metrics['mr_stft_ratio']:.2f} of it){', the best so far' if best else ''}"
            )
        return metrics, best

    def _leave(self, done: int, stop: StopRequest) -> None:
        self.checkpoints.wait()
        wait_for_all()
        raise Interrupted(
            f"stopped after step {done} of {self.config.steps}, state saved; go on with the same command and --resume",
            stop.signal_number or 15,
        )
