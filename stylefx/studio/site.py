"""The studio as files: a page, its scripts, and the model beside them. Any web server can serve the folder.

The scripts that the transfer page has too lie in ``stylefx/inference/page`` and are taken from there; the weights are those of
the checkpoint, byte for byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stylefx.errors import UserError
from stylefx.files.atomic import temporary_file
from stylefx.files.html import Markup, render_html
from stylefx.files.sentences import explained
from stylefx.inference.page.build import PAGE_SCRIPTS, page_script, style_sheet, tool_html
from stylefx.studio.describe import model_parts

_FOLDER = Path(__file__).parent
#: embedded in the page, because the AudioWorklet is made of their text
_INLINE = ("limiter", "dsp")
_OWN = ("resample", "files", "studio")
_HEARING = ("numbers", "features", "windows", "network", "reading", "solver", "controller", "restraint", "finish")
_WORKER = (*_HEARING, "transfer", "worker")


def site_files(checkpoint: str | Path) -> dict[str, bytes]:
    """Name -> bytes of everything that the page needs; UserError for a model that a browser cannot run."""
    model, weights = model_parts(checkpoint)
    files = {"index.html": _index(model).encode()}
    for name in (*_INLINE, *PAGE_SCRIPTS):
        files[f"scripts/{name}.js"] = page_script(name).encode()
    for name in (*_OWN, *_WORKER):
        files[f"scripts/{name}.js"] = (_FOLDER / "scripts" / f"{name}.js").read_bytes()
    files["model/studio.json"] = json.dumps(model, indent=1).encode()
    files["model/model.safetensors"] = weights
    return files


def _index(model: dict[str, Any]) -> str:
    own = (_FOLDER / "pages" / "studio.css").read_text(encoding="utf-8")
    return render_html(
        _FOLDER / "pages" / "index.html",
        title="stylefx studio",
        name=Path(model["name"]).name,
        style_sheet=style_sheet() + Markup(own),
        tool=tool_html(),
        worklet=page_script("worklet"),
        inline=[(name, page_script(name)) for name in _INLINE],
        scripts=(*PAGE_SCRIPTS, *_OWN),
    )


def export_site(folder: str | Path, checkpoint: str | Path, overwrite: bool = False) -> int:
    """Write the studio into a folder, the page last; returns the bytes. UserError where a page is, unless ``overwrite``."""
    folder, files = Path(folder), site_files(checkpoint)
    page = folder / "index.html"
    if page.exists() and not overwrite:
        raise UserError(f"{page} exists; name another folder, or give --overwrite")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder to write the studio into")
    for name in sorted(files, key=lambda n: n == "index.html"):
        with explained(str(folder), name):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_file(path, mode=0o644, durable=False) as temporary:
                temporary.write_bytes(files[name])
    return sum(map(len, files.values()))
