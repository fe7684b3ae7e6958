"""Metrics of a held-out split, exact for any number of ranks: padded items have weight zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stylefx.corpus.batch import Batch
from stylefx.models.style_transfer import StyleTransferModel
from stylefx.training.loop.step import Objective
from stylefx.training.processes.distributed import total

Prepare = Callable[[Batch], dict[str, Tensor]]


@dataclass
class ValidationReport:
    """Mean metrics, the predicted controls of this rank (items, num_controls), and some items' audio to look at."""

    metrics: dict[str, float]
    controls: Tensor
    media: list[dict[str, Tensor]] = field(default_factory=list)


@torch.no_grad()
def validate(
    model: StyleTransferModel,
    objective: Objective,
    batches: Iterable[Batch],
    prepare: Prepare,
    media: int = 0,
    stopping: Callable[[], bool] = lambda: False,
) -> ValidationReport | None:
    """Evaluate over all ranks; ``input_mr_stft`` is the distance of the unprocessed input, ``mr_stft_ratio`` what remains.

    ``stopping`` is asked once a batch and answers the same on all ranks; None when it says so.
    """
    was_training = model.training
    model.eval()
    sums, controls = torch.zeros(5, dtype=torch.float64), []
    shown: list[dict[str, Tensor]] = []
    for batch in batches:
        if stopping():
            model.train(was_training)
            return None
        audio, valid = prepare(batch), torch.from_numpy(batch.valid).double()
        output, predicted = model(audio["input"], audio["reference"])
        terms = objective.per_item(output, audio["target"])
        unprocessed = objective.per_item(audio["input"], audio["target"])
        columns = [terms.loss, terms.mr_stft, terms.l1, unprocessed.mr_stft]
        sums[:4] += torch.stack([c.double().cpu() for c in columns]) @ valid
        sums[4] += valid.sum()
        keep = valid.bool()
        controls.append(predicted.cpu()[keep])
        shown += [
            {**{k: v[i].cpu() for k, v in audio.items()}, "output": output[i].cpu()}
            for i in range(min(media - len(shown), int(keep.sum())))
        ]
    model.train(was_training)
    device = next(model.parameters()).device
    sums = total(sums.to(device) if device.type == "cuda" else sums).cpu()
    loss, mr_stft, l1, input_mr_stft = (sums[:4] / sums[4]).tolist()
    metrics = {"loss": loss, "mr_stft": mr_stft, "l1": l1, "input_mr_stft": input_mr_stft}
    return ValidationReport(metrics | {"mr_stft_ratio": mr_stft / input_mr_stft}, torch.cat(controls), shown)
