"""Put a training run's model among those that come with the package.

    python scripts/ship_model.py runs/studio studio

Writes stylefx/models/shipped/NAME/model.safetensors and model.json; the card, README.md beside them, is written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stylefx.models.checkpoint import find_model, load_model, read_card, save_model

FOLDER = Path(__file__).resolve().parents[1] / "stylefx/models/shipped"
KEPT = ("segment_samples", "step", "metrics", "level")


def main(run: str, name: str) -> None:
    card = read_card(run)
    extra = {k: card[k] for k in KEPT if k in card}
    path = save_model(load_model(run), FOLDER / name / "model", **extra)
    print(f"{find_model(run)} -> {path}: {path.stat().st_size / 1e6:.1f} MB")
    print(json.dumps({"sha256": read_card(path)["sha256"], **extra}))


if __name__ == "__main__":
    main(*sys.argv[1:])
