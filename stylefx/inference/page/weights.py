"""What other weights of the references would lead to, for the page's sliders: predictions on a lattice of weights.

The page interpolates between them, so that sliders answer at once; on the lattice it shows what the command would predict.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import Any

import torch

from stylefx.inference.hearing.amounts import DYNAMICS
from stylefx.inference.hearing.predict import check_weights, embed, pooled
from stylefx.inference.hearing.windows import Analysis
from stylefx.inference.options import TransferOptions
from stylefx.inference.placing import at_wishes
from stylefx.inference.settings_file import StyleSettings
from stylefx.inference.transfer import StyleTransfer

_MOST_POINTS = 24


def lattice(references: int) -> tuple[int, list[tuple[int, ...]]]:
    """n and all ways to deal n parts to the references: the finest n with few enough."""
    n = max(n for n in range(1, 9) if n == 1 or comb(n + references - 1, references - 1) <= _MOST_POINTS)
    parts = [p for p in itertools.product(range(n + 1), repeat=references - 1) if sum(p) <= n]
    return n, [(*p, n - sum(p)) for p in parts]


def weight_grid(
    tool: StyleTransfer, source: str | Path, references: Sequence[str | Path], options: TransferOptions
) -> dict[str, Any] | None:
    """Plain data for the page; None for one reference, and for refined settings, which are no prediction."""
    if len(references) < 2 or options.refine_steps:
        return None
    heard = tool.hear(source, options.windows)
    styles = [tool.reference(r, options.windows) for r in references]
    n, points = lattice(len(references))
    made = _placed(tool, heard, styles, points, options)
    start = {name: list(getattr(options, f"{name}_weights") or options.weights) for name in ("tone", "dynamics")}
    return {
        "names": [Path(r).name for r in references],
        "steps": n,
        "start": {name: check_weights(weights, len(references)) for name, weights in start.items()},
        "dynamics": [effect.name in DYNAMICS for effect in made[0].chain.effects],
        "points": [
            {"parts": parts, "settings": [entry["settings"] for entry in style.settings]}
            for parts, style in zip(points, made, strict=True)
        ],
    }


@torch.inference_mode()
def _placed(
    tool: StyleTransfer, heard: Analysis, styles: Sequence[Analysis], points: Sequence[tuple[int, ...]], options: TransferOptions
) -> list[StyleSettings]:
    """The settings at every point."""
    model, out = tool.model, list[StyleSettings]()
    _, e_input = pooled(model, [heard], [1.0])
    each = [embed(model, style) for style in styles]
    for parts in points:
        share = torch.cat([torch.full((len(e),), part / sum(parts) / len(e)) for e, part in zip(each, parts, strict=True)])
        style = model.encoder.pool(torch.cat(each), share)
        controls = model.controls(e_input[None], style[None], options.intent)[0].double().cpu().clamp(0, 1).numpy()
        out.append(at_wishes(model, controls, heard, options))
    return out
