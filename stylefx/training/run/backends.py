"""Where the numbers of a run are sent beside its own journal: TensorBoard, Weights & Biases, MLflow.

Their packages are optional. What one of them refuses while the run goes on is said once; the run goes on without it. A resumed
run goes on in the same run of theirs.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from stylefx.errors import UserError, first_line
from stylefx.files.atomic import write_whole

IDENTITIES = "backends.json"
_PARAMETERS_AT_ONCE = 100


class Backend(Protocol):
    """Takes scalars; ``close`` ends it."""

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in ``tensorboard/``, which also take what people look at and listen to."""

    def __init__(self, run: Path, start_step: int):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=start_step + 1)

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases:
    """A run of wandb, which reads its own variables: WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY, ..."""

    def __init__(self, run: Path, config: dict[str, Any]):
        import wandb

        identity = _identity(run, "wandb", lambda: uuid.uuid4().hex[:16])
        project = os.environ.get("WANDB_PROJECT", "stylefx")
        self._run = wandb.init(project=project, name=run.name, id=identity, resume="allow", dir=str(run), config=config)

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        self._run.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of MLflow at MLFLOW_TRACKING_URI, else in the run folder's ``mlruns``; experiment MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, run: Path, config: dict[str, Any]):
        import mlflow

        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder is all that one run needs
        where = os.environ.get("MLFLOW_TRACKING_URI") or (run.resolve() / "mlruns").as_uri()
        self._entities, self._client = mlflow.entities, mlflow.MlflowClient(tracking_uri=where)
        self._id = _identity(run, "mlflow", lambda: self._begin(run.name, config))

    def _begin(self, name: str, config: dict[str, Any]) -> str:
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "stylefx")
        found = self._client.get_experiment_by_name(title)
        experiment = found.experiment_id if found else self._client.create_experiment(title)
        identity: str = self._client.create_run(experiment, run_name=name).info.run_id
        parameters = [self._entities.Param(key, str(value)[:500]) for key, value in flat(config).items()]
        for start in range(0, len(parameters), _PARAMETERS_AT_ONCE):
            self._client.log_batch(identity, params=parameters[start : start + _PARAMETERS_AT_ONCE])
        return identity

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(f"{kind}/{name}", value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._id)


class Guarded:
    """A backend that may fail: it is said once, and the run goes on."""

    def __init__(self, name: str, backend: Backend, say: Callable[[str], None]):
        self.name, self.backend, self._say, self._works = name, backend, say, True

    def _guard(self, call: Callable[[], None]) -> None:
        if self._works:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - other people's code, which may speak to a server
                self._works = False
                self._say(f"{self.name} takes no more ({type(error).__name__}: {error}); the run goes on without it")

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        self._guard(lambda: self.backend.scalars(kind, step, values))

    def show(self, call: Callable[[Any], None]) -> None:
        """Hand the writer of TensorBoard to who shows more than scalars."""
        if isinstance(self.backend, TensorBoard):
            writer = self.backend.writer
            self._guard(lambda: call(writer))

    def close(self) -> None:
        self._guard(self.backend.close)


def open_backends(
    names: Sequence[str], run: Path, start_step: int, config: dict[str, Any], say: Callable[[str], None]
) -> list[Guarded]:
    """The backends of these names; UserError where a package is missing, or its server refuses from the start."""
    makers: dict[str, Callable[[], Backend]] = {
        "tensorboard": lambda: TensorBoard(run, start_step),
        "wandb": lambda: WeightsAndBiases(run, config),
        "mlflow": lambda: MLflow(run, config),
    }
    opened = []
    for name in names:
        try:
            opened.append(Guarded(name, makers[name](), say))
        except ImportError as error:
            extra = "train" if name == "tensorboard" else name
            raise UserError(
                f"logging.backends has {name!r}, which is not installed ({error}); pip install 'stylefx[{extra}]'"
            ) from error
        except Exception as error:
            raise UserError(
                f"{name} cannot begin ({first_line(error)}); see its own settings, or leave it out of logging.backends"
            ) from error
    return opened


def flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}"""
    out: dict[str, Any] = {}
    for key, value in data.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def _identity(run: Path, name: str, make: Callable[[], str]) -> str:
    """Their name for this run, the same after a resume."""
    file = run / IDENTITIES
    known: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    if name not in known:
        known[name] = make()
        write_whole(file, json.dumps(known).encode())
    return known[name]
