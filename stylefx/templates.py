"""What comes with the package to start from: manifests, training configurations, recipes for clusters."""

from __future__ import annotations

from pathlib import Path

from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

_ROOT, _INSIDE = Path(__file__).parents[1], Path(__file__).parent / "manifests"
FOLDER = _INSIDE if _INSIDE.is_dir() else _ROOT / "manifests"  # a link in a checkout, which not every system keeps as one

#: what each command prints, as globs
MANIFESTS = ("*.yaml", "corpora/*.yaml", "paper/*.yaml", "cluster/*build*")
CONFIGURATIONS = ("train/*.yaml", "cluster/*train*", "cluster/torchrun.sh")

_PLAIN = ("corpora", "train", "cluster")  # folders that no name needs


def templates(globs: tuple[str, ...]) -> dict[str, Path]:
    """{name: file}, in the order of the globs. A name has no ending, and its folder only where that tells alike ones apart."""
    return {_name(path): path for glob in globs for path in sorted(FOLDER.glob(glob))}


def _name(path: Path) -> str:
    name = path.relative_to(FOLDER).with_suffix("")
    return name.name if name.parts[0] in _PLAIN else name.as_posix()


def template_text(globs: tuple[str, ...], name: str) -> str:
    """The file of this name, as it is; UserError with the near miss."""
    found = templates(globs)
    name = Path(name).with_suffix("").as_posix() if name.endswith((".yaml", ".sbatch", ".sh")) else name
    if name not in found:
        raise UserError(f"no {name!r} comes with stylefx{did_you_mean(name, found)} (known: {', '.join(found)})")
    return found[name].read_text(encoding="utf-8")


def template_list(globs: tuple[str, ...]) -> str:
    """A line for each: its name and what its first comment says."""
    return "".join(f"{name:<24}{_first_comment(path)}\n" for name, path in templates(globs).items())


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = (line[1:].strip() for line in lines if line.startswith("#") and not line.startswith("#!"))
    return next(comments, "")
