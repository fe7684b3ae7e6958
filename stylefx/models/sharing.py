"""Models for others: a folder with config.json, model.safetensors and README.md, as huggingface_hub stores and finds them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from stylefx.errors import IncompleteError, first_line
from stylefx.files.atomic import write_whole
from stylefx.models.checkpoint import model_files, read_card
from stylefx.models.hub import check_name, endpoint, hub_library

_README = """---
library_name: stylefx
tags: [audio, audio-to-audio, style-transfer]
---

# {title}

Style transfer of audio effects: encoder `{encoder}`, effects {effects}, {rate:g} Hz, step {step} of its training.

```sh
stylefx transfer INPUT REFERENCE -o OUTPUT --model hub:{title}
```
"""


def save_pretrained(model: str | Path, folder: str | Path, title: str | None = None) -> Path:
    """Write a model (whatever ``--model`` takes) into a folder in the hub's layout."""
    folder, card = Path(folder), read_card(model)
    weights, description = model_files(model)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / "model.safetensors")
    write_whole(folder / "config.json", description.read_bytes())
    text = _README.format(
        title=title or folder.name,
        encoder=card["encoder"]["name"],
        effects=", ".join(effect["effect"] for effect in card["chain"]["effects"]),
        rate=card["sample_rate"],
        step=card.get("step", "unknown"),
    )
    write_whole(folder / "README.md", text.encode())
    return folder


def push_to_hub(model: str | Path, name: str, private: bool = True) -> str:
    """Upload a model under ``user/name``, made private when it is new; returns its address."""
    check_name(name)
    api = hub_library().HfApi(endpoint=endpoint())
    with tempfile.TemporaryDirectory() as temporary:
        folder = save_pretrained(model, Path(temporary) / "model", title=name)
        try:
            api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(repo_id=name, folder_path=str(folder), commit_message="Model of stylefx")
        except Exception as error:
            raise IncompleteError(
                f"{name} cannot be pushed to {api.endpoint} ({first_line(error)}); push again when that is mended"
            ) from error
    return f"{api.endpoint}/{name}"
