"""What a run has of its warm-up: the teaching before the first step, and pairs of averages that it may go on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from stylefx.corpus.reader import Corpus
from stylefx.errors import UserError
from stylefx.models.solver.controller import SolverController
from stylefx.models.solver.heads import CurveHead
from stylefx.models.solver.panel import CurvePanel
from stylefx.models.style_transfer import StyleTransferModel
from stylefx.training.config import TrainingConfig, WarmUpConfig
from stylefx.training.warm_up.heard import HeardDistance
from stylefx.training.warm_up.pairs import CurvePairs
from stylefx.training.warm_up.run import StageReport, curve_pairs, warm_up
from stylefx.training.warm_up.stages import curve_loss

if TYPE_CHECKING:
    import torch


def taught(
    model: StyleTransferModel, config: TrainingConfig, corpora: Sequence[Corpus], echo: Callable[[str], None] | None, fresh: bool
) -> CurvePairs | None:
    """Warm up a ``fresh`` model; the pairs, if the run goes on with them. Every rank does the same; a resumed run has its weights
    and needs the pairs only. ``echo`` None keeps quiet."""
    section, report = config.warm_up, StageReport(echo)
    panel = getattr(model.controller, "curves", None)
    if isinstance(panel, CurvePanel) and section.curve_weight:
        raise UserError("warm_up.curve_weight goes on teaching one head, and those of curve_heads are held; set it to 0")
    needed = section.curve_steps and section.curve_weight
    pairs = None
    if fresh:
        pairs = warm_up(model, config, corpora, report)
    elif needed:
        pairs = curve_pairs(model, config, corpora, report)
    if isinstance(panel, CurvePanel):
        panel.hold()
    return pairs if needed else None


def beside(
    model: StyleTransferModel, pairs: CurvePairs | None, section: WarmUpConfig, device: torch.device
) -> Callable[[], torch.Tensor] | None:
    """The loss on pairs of averages, for a run that goes on with them."""
    if pairs is None or not section.curve_weight:
        return None
    controller = cast("SolverController", model.controller)  # only its warm-up makes pairs
    head = cast("CurveHead", controller.curves)
    distance = HeardDistance(pairs.encoder, controller.reading.points).to(device)
    return lambda: section.curve_weight * curve_loss(controller, head, distance, pairs(section.batch), section.restraint)
