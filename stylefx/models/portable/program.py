"""A model as one exported program of torch, for any number of items."""

from __future__ import annotations

from typing import Any

import torch

from stylefx.models.portable.predictor import Predictor


@torch.no_grad()
def traced(predictor: Predictor) -> torch.export.ExportedProgram:
    """The graph of the predictor, its batch left open."""
    examples = predictor.examples(2)
    predictor(*examples)  # fills the tables of rates and devices with tensors that are no tracer's
    batch = torch.export.Dim("batch", min=1, max=65536)
    shapes: Any = tuple({0: batch} for _ in examples)
    return torch.export.export(predictor, examples, dynamic_shapes=shapes, strict=False)
