"""What the studio's scripts must know of a model: plain data beside its weights. Only what a browser can run is described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stylefx import __version__
from stylefx.audio.levels import LevelConvention
from stylefx.effects.base import Effect
from stylefx.effects.chain import EffectChain
from stylefx.effects.palette.limiter import Limiter
from stylefx.errors import UserError
from stylefx.inference.choices import DEFAULT_CEILING_DBTP, DEFAULT_PEAK_REDUCTION_DB, DEFAULT_WINDOWS
from stylefx.inference.hearing.levels import OFFSET_CUTOFF_HZ, offset_filter
from stylefx.inference.page.build import PAGE_EFFECTS, page_effect
from stylefx.inference.page.exports import export_texts
from stylefx.inference.transfer import QUIETER_BY_LU, SEGMENT_SAMPLES
from stylefx.models.checkpoint import model_files, read_card

ENCODER, CONTROLLER = "averages", "solver"


def model_parts(checkpoint: str | Path) -> tuple[dict[str, Any], bytes]:
    """The description of a model and its weights as they lie in the checkpoint; UserError for one that a browser cannot run."""
    card, (weights, _) = read_card(checkpoint), model_files(checkpoint)
    found = card["encoder"]["name"], card.get("controller", {}).get("name", "mlp")
    if found != (ENCODER, CONTROLLER):
        raise UserError(
            f"{checkpoint} has the encoder {found[0]!r} and the controller {found[1]!r}; the studio runs {ENCODER!r} with "
            f"{CONTROLLER!r} in the browser: give such a model, as `shipped` is, or use stylefx transfer"
        )
    chain = EffectChain.from_dict(card["chain"])
    for slot in chain.slots:
        if slot.effect.name not in PAGE_EFFECTS or slot.bypass or slot.mix != 1.0:
            raise UserError(
                f"{checkpoint} sets {slot.effect.name!r}, which the studio cannot render in a browser as the model means it; "
                f"it knows {', '.join(PAGE_EFFECTS)}, neither mixed nor bypassed: use stylefx transfer"
            )
    return description(str(checkpoint), card, chain), weights.read_bytes()


def description(name: str, card: dict[str, Any], chain: EffectChain) -> dict[str, Any]:
    """studio.json as plain data."""
    high_pass = offset_filter()
    return {
        "format": "stylefx-studio",
        "version": 1,
        "madeBy": f"stylefx {__version__} studio",
        "name": name,
        "sha256": card["sha256"],
        "sampleRate": float(card["sample_rate"]),
        "windowSamples": int(card.get("segment_samples", SEGMENT_SAMPLES)),
        "windows": DEFAULT_WINDOWS,
        "level": LevelConvention.of(card.get("level")).to_data(),
        "encoder": card["encoder"],
        "controller": card["controller"],
        "effects": [_described(effect) for effect in chain.effects],
        "offset": {**_described(high_pass), "settings": {high_pass.parameters[0].name: OFFSET_CUTOFF_HZ}},
        "limiter": _described(Limiter()),
        "ceilingDb": DEFAULT_CEILING_DBTP,
        "peakReductionDb": DEFAULT_PEAK_REDUCTION_DB,
        "atMostBelowDb": QUIETER_BY_LU,
        "exports": export_texts(),
    }


def _described(effect: Effect) -> dict[str, Any]:
    entry = page_effect(effect, {"settings": {}, "bypass": False, "mix": 1.0})
    return {key: value for key, value in entry.items() if key not in ("settings", "bypass")}
