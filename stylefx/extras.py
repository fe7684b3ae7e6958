"""Which extra brings a package, so that a command whose packages are missing says what to install."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path

#: top-level module -> the extras that bring it, for errors when it is missing
_EXTRAS = {
    "audiomentations": ("pipe",),
    "braceexpand": ("train",),
    "fsspec": ("pipe", "train"),
    "huggingface_hub": ("hub",),
    "onnx": ("export",),
    "onnxruntime": ("export",),
    "onnxscript": ("export",),
    "matplotlib": ("train",),
    "model_signing": ("sign",),
    "pandas": ("ray-train",),
    "PIL": ("pipe", "train"),
    "pyarrow": ("pipe", "train"),
    "pyloudnorm": ("pipe", "train"),
    "pyrubberband": ("pipe",),
    "python_stretch": ("pipe",),
    "ray": ("pipe",),
    "safetensors": ("train",),
    "tensorboard": ("train",),
    "torch": ("train",),
    "webdataset": ("train",),
}


def missing_package(error: ImportError, preferred: str = "pipe") -> str | None:
    """The sentence with the install line for what was not found; None when it is no package of ours to install.

    ``preferred``: the extra that is named where several bring it.
    """
    module = (error.name or "").partition(".")[0]
    extras = _EXTRAS.get(module)
    if not isinstance(error, ModuleNotFoundError) or extras is None:
        return None
    extra = preferred if preferred in extras else extras[0]
    return f"this needs the package {module}, which is not installed; install it with: {install_line(extra)}"


@functools.cache
def install_line(*extras: str) -> str:
    """The line that brings these extras into the installation that runs: of a checkout or a package, by pip, uv or pipx."""
    names, root = ",".join(extras), Path(__file__).resolve().parents[1]
    checkout = (root / "pyproject.toml").is_file()
    target = f"-e '{root}[{names}]'" if checkout else f"'stylefx[{names}]'"
    return f"{_installer()} {target}"


def _installer() -> str:
    """What to type before the package, where this Python lives."""
    prefix = Path(sys.prefix).as_posix()
    if "/pipx/venvs/" in prefix:
        return "pipx install --force"
    if "/uv/tools/" in prefix:
        return "uv tool install"
    return "uv pip install" if _was_uv() or importlib.util.find_spec("pip") is None else "pip install"


def _was_uv() -> bool:
    from importlib import metadata

    try:
        return (metadata.distribution("stylefx").read_text("INSTALLER") or "").strip() == "uv"
    except metadata.PackageNotFoundError:
        return False
